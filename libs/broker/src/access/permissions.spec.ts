import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type MethodArguments, type MethodName, type PlainTable, tableOf } from '#amqp-codec';
import { behaviourOf } from '../compat.js';
import { EngineUnderTest } from '../engine/engine.harness.js';
import { type PeerDialogue, WireFixture } from '../wire.harness.js';
import { hashPassword } from './password.js';

let engine: EngineUnderTest;
let fixture: WireFixture;

beforeEach(async () => {
  engine = await EngineUnderTest.open();
  fixture = serve();
  engine.queue('q');
  engine.exchange('x', 'direct');
  engine.exchange('t', 'topic');
  engine.exchange('internal', 'direct', {}, { internal: true });
});
afterEach(async () => {
  await fixture.broker.close();
  await engine.close();
});

function serve(options: ConstructorParameters<typeof WireFixture>[0] = {}): WireFixture {
  const { durability, accounts } = engine.engine;
  return new WireFixture({ virtualHosts: engine.engine, durability, users: accounts, ...options });
}

type Rows = Record<'configure' | 'write' | 'read', string>;
const NOTHING: Rows = { configure: '', write: '', read: '' };

function permit(rows: Partial<Rows>, tags: string[] = []): void {
  const passwordHash = hashPassword('p');
  engine.engine.accounts.putUser({ name: 'u', passwordHash, hashingAlgorithm: 'rabbit_password_hashing_sha256', tags });
  engine.engine.accounts.putPermission({ user: 'u', virtualHost: '/', ...NOTHING, ...rows });
}

async function logIn(rows: Partial<Rows> = {}, tags: string[] = []): Promise<PeerDialogue> {
  permit(rows, tags);
  return connect();
}

async function connect(): Promise<PeerDialogue> {
  const peer = fixture.connects();
  await peer.handshakes({ user: 'u', password: 'p' });
  await peer.opens();
  return peer;
}

/** What a call is answered with: a method, or the code and text of what it closes. */
async function answerTo(rows: Partial<Rows>, act: (peer: PeerDialogue) => void): Promise<string> {
  const peer = await logIn(rows);
  act(peer);
  const { name, args } = await peer.next();
  peer.cut();
  if (name !== 'channel.close' && name !== 'connection.close') return name;
  const { replyCode, replyText } = args as MethodArguments<'channel.close'>;
  return `${replyCode} ${replyText}`;
}

const call =
  <Name extends MethodName>(name: Name, args: Partial<MethodArguments<Name>>) =>
  (peer: PeerDialogue) =>
    peer.sends(name, args);
const declareQueue = (queue: string, args: Partial<MethodArguments<'queue.declare'>> = {}, extra: PlainTable = {}) =>
  call('queue.declare', { queue, ...args, arguments: tableOf(extra) });
const declareExchange = (exchange: string, type = 'direct', extra: PlainTable = {}) =>
  call('exchange.declare', { exchange, type, durable: true, arguments: tableOf(extra) });
const publish =
  (exchange: string, routingKey: string, properties: Parameters<PeerDialogue['publishes']>[2] = {}) =>
  (peer: PeerDialogue) => {
    peer.sends('confirm.select', { nowait: true });
    peer.publishes(routingKey, 'x', properties, { exchange });
  };

const queueRefused = (name: string) =>
  `403 ACCESS_REFUSED - access to queue '${name}' in vhost '/' refused for user 'u'`;
const exchangeRefused = (name: string) =>
  `403 ACCESS_REFUSED - access to exchange '${name}' in vhost '/' refused for user 'u'`;
const ALL = '.*';
const DEFAULT_EXCHANGE = '403 ACCESS_REFUSED - operation not permitted on the default exchange';
const DEAD_LETTERS = { 'x-dead-letter-exchange': 'x' };

// Every line was asked of RabbitMQ 3.10.8.
describe('permissions', () => {
  it.each<[string, Partial<Rows>, (peer: PeerDialogue) => void, string]>([
    ['passive declare needs nothing', {}, declareQueue('q', { passive: true }), 'queue.declare-ok'],
    ['nor of an exchange', {}, call('exchange.declare', { exchange: 'x', passive: true }), 'exchange.declare-ok'],
    [
      'nor a reply queue',
      {},
      call('basic.consume', { queue: 'amq.rabbitmq.reply-to', noAck: true }),
      'basic.consume-ok',
    ],
    ['queue.declare of an old one', { write: ALL, read: ALL }, declareQueue('q', { durable: true }), queueRefused('q')],
    ['before it is compared', {}, declareQueue('q'), queueRefused('q')],
    ['queue.declare of a new one', { configure: '^n' }, declareQueue('n'), 'queue.declare-ok'],
    [
      'of a name that is reserved',
      {},
      declareQueue('amq.n'),
      "403 ACCESS_REFUSED - queue name 'amq.n' contains reserved prefix 'amq.*'",
    ],
    ['server-named by its name', { configure: '^amq\\.gen-' }, declareQueue(''), 'queue.declare-ok'],
    [
      'dead letters need read on the queue',
      { configure: ALL, write: ALL },
      declareQueue('n', {}, DEAD_LETTERS),
      queueRefused('n'),
    ],
    [
      'and write on the exchange',
      { configure: ALL, read: ALL },
      declareQueue('n', {}, DEAD_LETTERS),
      exchangeRefused('x'),
    ],
    [
      'the default one by its name',
      { configure: ALL, read: ALL },
      declareQueue('n', {}, { 'x-dead-letter-exchange': '' }),
      exchangeRefused('amq.default'),
    ],
    [
      'not when the queue is there',
      { configure: ALL },
      declareQueue('q', { durable: true }, DEAD_LETTERS),
      "406 PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received the value 'x' of type 'longstr' but current is none",
    ],
    ['queue.delete', { write: ALL, read: ALL }, call('queue.delete', { queue: 'none' }), queueRefused('none')],
    ['exchange.declare', { write: ALL, read: ALL }, declareExchange('x'), exchangeRefused('x')],
    ['before the reserved prefix', {}, declareExchange('amq.n'), exchangeRefused('amq.n')],
    ['after the default exchange', {}, declareExchange(''), DEFAULT_EXCHANGE],
    ['after the type', {}, declareExchange('n', 'nosuch'), "503 COMMAND_INVALID - unknown exchange type 'nosuch'"],
    [
      'an alternate needs read',
      { configure: ALL, write: ALL },
      declareExchange('n', 'direct', { 'alternate-exchange': 'x' }),
      exchangeRefused('n'),
    ],
    [
      'and write on it',
      { configure: ALL, read: ALL },
      declareExchange('n', 'direct', { 'alternate-exchange': 'x' }),
      exchangeRefused('x'),
    ],
    [
      'exchange.delete',
      { write: ALL, read: ALL },
      call('exchange.delete', { exchange: 'none' }),
      exchangeRefused('none'),
    ],
    [
      'after system exchanges',
      {},
      call('exchange.delete', { exchange: 'amq.direct' }),
      "403 ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
    ],
    [
      'queue.bind: write on the queue',
      { configure: ALL, read: ALL },
      call('queue.bind', { queue: 'q', exchange: 'x' }),
      queueRefused('q'),
    ],
    [
      'queue.bind: read on the exchange',
      { configure: ALL, write: ALL },
      call('queue.bind', { queue: 'none', exchange: 'x' }),
      exchangeRefused('x'),
    ],
    [
      'queue.bind to the default exchange',
      { write: ALL },
      call('queue.bind', { queue: 'q', exchange: '' }),
      DEFAULT_EXCHANGE,
    ],
    [
      'queue.bind with both',
      { write: ALL, read: ALL },
      call('queue.bind', { queue: 'q', exchange: 'x' }),
      'queue.bind-ok',
    ],
    ['queue.unbind', { read: ALL }, call('queue.unbind', { queue: 'q', exchange: 'x' }), queueRefused('q')],
    [
      'exchange.bind: write on the destination',
      { read: ALL },
      call('exchange.bind', { destination: 'x', source: 't' }),
      exchangeRefused('x'),
    ],
    [
      'exchange.bind: read on the source',
      { write: ALL },
      call('exchange.bind', { destination: 'x', source: 't' }),
      exchangeRefused('t'),
    ],
    [
      'exchange.bind of the default exchange',
      { read: ALL },
      call('exchange.bind', { destination: '', source: 't' }),
      exchangeRefused('amq.default'),
    ],
    [
      'exchange.unbind',
      { write: ALL },
      call('exchange.unbind', { destination: 'x', source: 't' }),
      exchangeRefused('t'),
    ],
    ['queue.purge', { configure: ALL, write: ALL }, call('queue.purge', { queue: 'q' }), queueRefused('q')],
    ['queue.purge with read', { read: ALL }, call('queue.purge', { queue: 'q' }), 'queue.purge-ok'],
    ['basic.get', { configure: ALL, write: ALL }, call('basic.get', { queue: 'none' }), queueRefused('none')],
    ['basic.get with read', { read: '^q$' }, call('basic.get', { queue: 'q' }), 'basic.get-empty'],
    ['basic.consume', { configure: ALL, write: ALL }, call('basic.consume', { queue: 'q' }), queueRefused('q')],
    ['basic.publish', { configure: ALL, read: ALL }, publish('x', 'k'), exchangeRefused('x')],
    ['to the default exchange', { write: '^x' }, publish('', 'q'), exchangeRefused('amq.default')],
    ['to the default exchange by its name', { write: '^amq\\.default$' }, publish('', 'q'), 'basic.ack'],
    ['before it is looked for', {}, publish('none', 'k'), exchangeRefused('none')],
    ['before it is internal', {}, publish('internal', 'k'), exchangeRefused('internal')],
    ['before what is wrong with the message', {}, publish('x', 'k', { userId: 'other' }), exchangeRefused('x')],
    [
      'which is said after the exchange was found',
      { write: ALL },
      publish('none', 'k', { userId: 'other' }),
      "404 NOT_FOUND - no exchange 'none' in vhost '/'",
    ],
    ['to an address for replies', {}, publish('', 'amq.rabbitmq.reply-to.x'), exchangeRefused('amq.default')],
  ])('%s', async (_rule, rows, act, answer) => {
    expect(await answerTo(rows, act)).toBe(answer);
  });

  it('say which right was missing where RabbitMQ 4 is asked for', async () => {
    fixture = serve({ behaviour: behaviourOf('4.2') });
    const text = "403 ACCESS_REFUSED - read access to queue 'q' in vhost '/' refused for user 'u'";
    expect(await answerTo({}, call('basic.get', { queue: 'q' }))).toBe(text);
  });

  it('are asked in transactions at the publish', async () => {
    const peer = await logIn();
    peer.sends('tx.select');
    await peer.expects('tx.select-ok');
    peer.publishes('k', 'x', {}, { exchange: 'x' });
    await peer.expects('channel.close', { replyText: exchangeRefused('x').slice(4) });
  });

  it('that change hold for the next publish of an open channel', async () => {
    const peer = await logIn({ write: ALL });
    peer.publishes('k', 'x', {}, { exchange: 'x' });
    await peer.expectsNothing();
    permit({});
    peer.publishes('k', 'x', {}, { exchange: 'x' });
    await peer.expects('channel.close', { replyText: exchangeRefused('x').slice(4) });
  });

  it('let an impersonator speak for others', async () => {
    const peer = await logIn({ write: ALL }, ['impersonator']);
    publish('x', 'k', { userId: 'other' })(peer);
    await peer.expects('basic.ack');
  });
});

describe('topic permissions', () => {
  const topicRefused = (key: string) =>
    `403 ACCESS_REFUSED - access to topic '${key}' in exchange 't' in vhost '/' refused for user 'u'`;

  it.each<[(peer: PeerDialogue) => void, string]>([
    [publish('t', 'a.x'), 'basic.ack'],
    [publish('t', 'b.x'), topicRefused('b.x')],
    [publish('x', 'b.x'), 'basic.ack'],
    [publish('amq.topic', 'b.x'), 'basic.ack'],
    [call('queue.bind', { queue: 'q', exchange: 't', routingKey: 'b.x' }), 'queue.bind-ok'],
    [call('queue.bind', { queue: 'q', exchange: 't', routingKey: 'a.x' }), topicRefused('a.x')],
    [call('queue.unbind', { queue: 'q', exchange: 't', routingKey: 'a.x' }), topicRefused('a.x')],
    [call('exchange.bind', { destination: 'x', source: 't', routingKey: 'zz' }), topicRefused('zz')],
  ])('narrow a topic exchange and nothing else: %#', async (act, answer) => {
    for (const exchange of ['t', 'x']) {
      engine.engine.accounts.putTopicPermission({ user: 'u', virtualHost: '/', exchange, write: '^a', read: '^b' });
    }
    expect(await answerTo({ write: ALL, read: ALL }, act)).toBe(answer);
  });
});

describe('update-secret', () => {
  it('cancels the consumers of queues that may no longer be read', async () => {
    engine.queue('other');
    const peer = await logIn({ read: ALL });
    for (const queue of ['q', 'other']) {
      peer.sends('basic.consume', { queue, consumerTag: queue });
      await peer.expects('basic.consume-ok');
    }
    permit({ read: '^other$' });
    await peer.expectsNothing();
    peer.sends('connection.update-secret', { newSecret: Buffer.from('p') });
    await peer.expects('basic.cancel', { consumerTag: 'q' });
    await peer.expects('connection.update-secret-ok');
    await peer.expectsNothing();
    expect(engine.engine.stats().queues.map(({ name, consumers }) => [name, consumers])).toEqual([
      ['q', 0],
      ['other', 1],
    ]);
  });
});

describe('connections', () => {
  it('of a deleted user are closed, and it cannot come again', async () => {
    const peer = await logIn({ read: ALL });
    engine.engine.accounts.deleteUser('u');
    await peer.expects('connection.close', { replyCode: 320, replyText: "CONNECTION_FORCED - user 'u' is deleted" });
  });

  it('to a deleted virtual host are closed, and it is not found again', async () => {
    engine.engine.putVirtualHost({ name: 'v', description: '', tags: [] });
    permit({});
    engine.engine.accounts.putPermission({ user: 'u', virtualHost: 'v', ...NOTHING, configure: ALL });
    const peer = fixture.connects();
    await peer.handshakes({ user: 'u', password: 'p', virtualHost: 'v' });
    await peer.opens();
    peer.sends('queue.declare', { queue: 'mine', exclusive: true });
    await peer.expects('queue.declare-ok');
    engine.engine.deleteVirtualHost('v');
    await peer.expects('connection.close', { replyCode: 320, replyText: "CONNECTION_FORCED - vhost 'v' is deleted" });
    expect(engine.engine.accounts.permissions.map(({ virtualHost }) => virtualHost)).toEqual(['/', '/']);

    const late = fixture.connects();
    await late.logsIn({ user: 'u', password: 'p' });
    late.sends('connection.open', { virtualHost: 'v' });
    await late.expects('connection.close', { replyCode: 530, replyText: 'NOT_ALLOWED - vhost v not found' });
  });

  it('are refused without a permission row, and limited where somebody says so', async () => {
    permit({});
    const { accounts } = engine.engine;
    const refusal = async (replyText: string) => {
      const peer = fixture.connects();
      await peer.logsIn({ user: 'u', password: 'p' });
      peer.sends('connection.open', { virtualHost: '/' });
      await peer.expects('connection.close', { replyCode: 530, replyText });
    };
    const limit = (limits: object) => accounts.putUser({ ...accounts.user('u')!, limits });
    const first = await connect();
    limit({ maxConnections: 1, maxChannels: 1 });
    await refusal("NOT_ALLOWED - connection refused for user 'u': user connection limit (1) is reached");
    first.sends('channel.open', {}, 2);
    await first.expects('connection.close', {
      replyCode: 530,
      replyText:
        "NOT_ALLOWED - number of channels opened for user 'u' has reached the maximum allowed user limit of (1)",
    });

    limit({});
    engine.engine.putVirtualHost({ name: '/', description: '', tags: [], limits: { maxConnections: 0 } });
    await refusal("NOT_ALLOWED - access to vhost '/' refused for user 'u': connection limit (0) is reached");
    engine.engine.putVirtualHost({ name: '/', description: '', tags: [], limits: { maxQueues: 1 } });
    const replyText = "406 PRECONDITION_FAILED - cannot declare queue 'n': queue limit in vhost '/' (1) is reached";
    expect(await answerTo({ configure: ALL }, declareQueue('n'))).toBe(replyText);
    accounts.deletePermission('/', 'u');
    await refusal("NOT_ALLOWED - access to vhost '/' refused for user 'u'");
  });
});
