import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PlainTable } from '#amqp-codec';
import { EngineUnderTest, TestConsumer, ticks } from './engine.harness.js';

// Every text here was given by rabbitmq-server 3.10.8 for the same declaration.

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open();
});
afterEach(() => engine.close());

const Q = "queue 'q' in vhost '/'";
const X = "exchange 'x' in vhost '/'";
const LOCKED =
  `RESOURCE_LOCKED - cannot obtain exclusive access to locked ${Q}. It could be originally declared on another connection ` +
  'or the exclusive property value does not match that of the original declaration.';

describe('arguments of a classic queue', () => {
  const refused: [queueArguments: PlainTable, reason: string][] = [
    [{ 'x-message-ttl': -1 }, `invalid arg 'x-message-ttl' for ${Q}: {value_negative,-1}`],
    [{ 'x-message-ttl': 'a' }, `invalid arg 'x-message-ttl' for ${Q}: "expected integer, got longstr"`],
    [{ 'x-message-ttl': 315360000001 }, `invalid arg 'x-message-ttl' for ${Q}: {value_too_large,315360000001}`],
    [{ 'x-expires': 0 }, `invalid arg 'x-expires' for ${Q}: {value_zero,0}`],
    [{ 'x-expires': -1 }, `invalid arg 'x-expires' for ${Q}: {value_negative,-1}`],
    [{ 'x-max-length': -1 }, `invalid arg 'x-max-length' for ${Q}: {value_negative,-1}`],
    [{ 'x-max-length-bytes': 'a' }, `invalid arg 'x-max-length-bytes' for ${Q}: "expected integer, got longstr"`],
    [{ 'x-overflow': 'bogus' }, `invalid arg 'x-overflow' for ${Q}: invalid_overflow`],
    [{ 'x-overflow': 1 }, `invalid arg 'x-overflow' for ${Q}: {unacceptable_type,signedint}`],
    [{ 'x-dead-letter-exchange': 1 }, `invalid type 'signedint' for arg 'x-dead-letter-exchange' in ${Q}`],
    [
      { 'x-dead-letter-routing-key': 'k' },
      `invalid arg 'x-dead-letter-routing-key' for ${Q}: routing_key_but_no_dlx_defined`,
    ],
    [{ 'x-max-priority': 256 }, `invalid arg 'x-max-priority' for ${Q}: {max_value_exceeded,256}`],
    [
      { 'x-single-active-consumer': 'a' },
      `invalid arg 'x-single-active-consumer' for ${Q}: {unacceptable_type,longstr}`,
    ],
    [{ 'x-queue-mode': 'bogus' }, `invalid arg 'x-queue-mode' for ${Q}: "unsupported queue mode 'bogus'"`],
    [{ 'x-queue-type': 'bogus' }, `invalid arg 'x-queue-type' for ${Q}: "unsupported queue type 'bogus'"`],
    [{ 'x-queue-type': 1 }, `invalid arg 'x-queue-type' for ${Q}: {unacceptable_type,signedint}`],
    [{ 'x-delivery-limit': 3 }, `invalid arg 'x-delivery-limit' for ${Q} of queue type rabbit_classic_queue`],
    [
      { 'x-dead-letter-strategy': 'at-least-once' },
      `invalid arg 'x-dead-letter-strategy' for ${Q} of queue type rabbit_classic_queue`,
    ],
    [{ 'x-max-age': '1D' }, `invalid arg 'x-max-age' for ${Q} of queue type rabbit_classic_queue`],
    [{ 'x-queue-version': 3 }, `invalid arg 'x-queue-version' for ${Q}: "unsupported queue version '3'"`],
  ];
  for (const [queueArguments, reason] of refused) {
    it(`refuses ${JSON.stringify(queueArguments)}`, () => {
      expect(() => engine.queue('q', queueArguments)).toThrow(`PRECONDITION_FAILED - ${reason}`);
      expect(() => engine.ready('q')).toThrow('NOT_FOUND');
    });
  }

  it('ignores arguments nobody knows', () => {
    engine.queue('q', { 'x-mine': 1 });
    engine.queue('q', { 'x-mine': 2 });
  });

  it('says that streams are not here', () => {
    expect(() => engine.queue('q', { 'x-queue-type': 'stream' })).toThrow("unsupported queue type 'stream'");
  });
});

describe('quorum queues', () => {
  const quorum = { 'x-queue-type': 'quorum' };

  it('are durable, shared and named', () => {
    expect(() => engine.queue('q', quorum, { durable: false })).toThrow(`invalid property 'non-durable' for ${Q}`);
    expect(() => engine.queue('q', quorum, { exclusive: true })).toThrow(`invalid property 'exclusive-owner' for ${Q}`);
    expect(() => engine.queue('q', quorum, { autoDelete: true })).toThrow(`invalid property 'auto-delete' for ${Q}`);
    expect(() => engine.queue('', quorum)).toThrow('Cannot declare a server-named queue for type rabbit_quorum_queue');
  });

  it('refuse what only classic queues know and take their own', () => {
    expect(() => engine.queue('q', { ...quorum, 'x-max-priority': 3 })).toThrow(
      `invalid arg 'x-max-priority' for ${Q} of queue type rabbit_quorum_queue`,
    );
    expect(() => engine.queue('q', { ...quorum, 'x-dead-letter-strategy': 'bogus' })).toThrow('invalid_dlx_strategy');
    engine.queue('q', { ...quorum, 'x-delivery-limit': -1, 'x-overflow': 'reject-publish-dlx' });
  });
});

describe('declaring a queue again', () => {
  const differences: [string, () => void, () => void, string][] = [
    [
      'durable',
      () => engine.queue('q'),
      () => engine.queue('q', {}, { durable: false }),
      `inequivalent arg 'durable' for ${Q}: received 'false' but current is 'true'`,
    ],
    [
      'auto_delete',
      () => engine.queue('q'),
      () => engine.queue('q', {}, { autoDelete: true }),
      `inequivalent arg 'auto_delete' for ${Q}: received 'true' but current is 'false'`,
    ],
    [
      'a new argument',
      () => engine.queue('q'),
      () => engine.queue('q', { 'x-message-ttl': 5 }),
      `inequivalent arg 'x-message-ttl' for ${Q}: received the value '5' of type 'signedint' but current is none`,
    ],
    [
      'a missing argument',
      () => engine.queue('q', { 'x-dead-letter-exchange': 'a' }),
      () => engine.queue('q'),
      `inequivalent arg 'x-dead-letter-exchange' for ${Q}: received none but current is the value 'a' of type 'longstr'`,
    ],
    [
      'another value',
      () => engine.queue('q', { 'x-message-ttl': 10 }),
      () => engine.queue('q', { 'x-message-ttl': 20 }),
      `inequivalent arg 'x-message-ttl' for ${Q}: received '20' but current is '10'`,
    ],
    [
      'another type',
      () => engine.queue('q'),
      () => engine.queue('q', { 'x-queue-type': 'quorum' }),
      `inequivalent arg 'x-queue-type' for ${Q}: received the value 'quorum' of type 'longstr' but current is none`,
    ],
  ];
  for (const [what, first, second, text] of differences) {
    it(`refuses ${what}`, () => {
      first();
      expect(second).toThrow(`PRECONDITION_FAILED - ${text}`);
    });
  }

  it('takes equal integers of any width, and classic for no type', () => {
    engine.queue('q', { 'x-message-ttl': 10 });
    expect(engine.queue('q', { 'x-message-ttl': 10n, 'x-queue-type': 'classic' })).toEqual({
      name: 'q',
      messageCount: 0,
      consumerCount: 0,
    });
  });

  it('looks at exclusivity first, and at nothing else when passive', () => {
    engine.queue('q');
    expect(() => engine.queue('q', { 'x-message-ttl': 1 }, { exclusive: true })).toThrow(LOCKED);
    engine.queue('q', { 'x-message-ttl': 1 }, { passive: true, durable: false });
    expect(() => engine.queue('none', {}, { passive: true })).toThrow("NOT_FOUND - no queue 'none' in vhost '/'");
  });
});

describe('names', () => {
  it('makes one when none is given', () => {
    expect(engine.queue('').name).toMatch(/^amq\.gen-[\w-]{22}$/);
  });

  it('keeps amq. for itself', () => {
    expect(() => engine.queue('amq.mine')).toThrow(
      "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
    );
    expect(() => engine.exchange('amq.mine', 'direct')).toThrow(
      "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
    );
  });
});

describe('an exclusive queue', () => {
  it('answers its owner only and goes with it', () => {
    engine.queue('q', {}, { exclusive: true });
    engine.bind('amq.direct', 'q');
    const other = {};
    const declaration = { name: 'q', passive: false, durable: true, exclusive: true, autoDelete: false, arguments: [] };
    const binding = { source: 'amq.direct', destination: 'q', routingKey: '', arguments: [] };
    for (const attempt of [
      () => engine.host.declareQueue(declaration, other),
      () => engine.host.declareQueue({ ...declaration, passive: true }, other),
      () => engine.host.bindQueue(binding, other),
      () => engine.host.unbindQueue(binding, other),
      () => engine.host.purgeQueue('q', other),
      () => engine.host.deleteQueue('q', { ifUnused: false, ifEmpty: false }, other),
      () => engine.host.consume('q', new TestConsumer(), other),
      () => engine.host.get('q', true, other, () => undefined),
      () => engine.queue('q', {}, { exclusive: false }),
    ]) {
      expect(attempt).toThrow(LOCKED);
    }
    // A binding that is not there can be taken away by anybody.
    engine.host.unbindQueue({ ...binding, routingKey: 'none' }, other);
    // The durable bit means nothing on an exclusive queue.
    engine.queue('q', {}, { exclusive: true, durable: false });

    engine.host.releaseOwner(engine.owner);
    expect(() => engine.ready('q')).toThrow('NOT_FOUND');
  });
});

describe('deleting a queue', () => {
  it('answers the number of ready messages, 0 for what is not there', () => {
    engine.queue('q');
    engine.publish('', 'q', '1');
    expect(engine.host.deleteQueue('q', { ifUnused: true, ifEmpty: false }, engine.owner)).toBe(1);
    expect(engine.host.deleteQueue('q', { ifUnused: false, ifEmpty: false }, engine.owner)).toBe(0);
  });

  it('respects if-unused and if-empty', () => {
    engine.queue('q');
    engine.publish('', 'q', '1');
    engine.consume('q', { room: 0 });
    const remove = (ifUnused: boolean, ifEmpty: boolean) => () =>
      engine.host.deleteQueue('q', { ifUnused, ifEmpty }, engine.owner);
    expect(remove(true, false)).toThrow(`PRECONDITION_FAILED - ${Q} in use`);
    expect(remove(false, true)).toThrow(`PRECONDITION_FAILED - ${Q} not empty`);
    expect(remove(true, true)).toThrow(`PRECONDITION_FAILED - ${Q} not empty`);
  });

  it('tells its consumers', () => {
    engine.queue('q');
    const consumer = engine.consume('q');
    engine.host.deleteQueue('q', { ifUnused: false, ifEmpty: false }, engine.owner);
    expect(consumer.isCancelled).toBe(true);
  });

  it('forgets deliveries that are still out', async () => {
    engine.queue('q');
    engine.publish('', 'q', '1');
    const first = (await engine.get('q', false))!;
    engine.host.deleteQueue('q', { ifUnused: false, ifEmpty: false }, engine.owner);
    engine.queue('q');
    first.queue.acknowledge([first.sequence]);
    first.queue.requeue([first.sequence]);
    await ticks();
    expect(engine.ready('q')).toBe(0);
  });
});

describe('an auto-delete queue', () => {
  it('goes with its last consumer, not before it had one', () => {
    engine.queue('q', {}, { autoDelete: true });
    const [first, second] = [engine.consume('q'), engine.consume('q')];
    engine.host.cancel('q', first);
    expect(engine.ready('q')).toBe(0);
    engine.host.cancel('q', second);
    expect(() => engine.ready('q')).toThrow('NOT_FOUND');
  });
});

describe('exchanges', () => {
  it('refuse an unknown type with a closed connection', () => {
    expect(() => engine.exchange('x', 'bogus')).toThrow("COMMAND_INVALID - unknown exchange type 'bogus'");
  });

  it('compare type, flags and alternate exchange when declared again, nothing else', () => {
    engine.exchange('x', 'direct');
    engine.exchange('x', 'direct', { other: 1 });
    const inequivalent = (name: string, values: string) =>
      `PRECONDITION_FAILED - inequivalent arg '${name}' for ${X}: ${values}`;
    expect(() => engine.exchange('x', 'fanout')).toThrow(
      inequivalent('type', "received 'fanout' but current is 'direct'"),
    );
    expect(() => engine.exchange('x', 'direct', {}, { durable: false })).toThrow(
      inequivalent('durable', "received 'false' but current is 'true'"),
    );
    expect(() => engine.exchange('x', 'direct', {}, { internal: true })).toThrow(
      inequivalent('internal', "received 'true' but current is 'false'"),
    );
    expect(() => engine.exchange('x', 'direct', { 'alternate-exchange': 'y' })).toThrow(
      inequivalent('alternate-exchange', "received the value 'y' of type 'longstr' but current is none"),
    );
    engine.exchange('x', 'no matter', {}, { passive: true, durable: false });
    expect(() => engine.exchange('none', 'direct', {}, { passive: true })).toThrow(
      "NOT_FOUND - no exchange 'none' in vhost '/'",
    );
  });

  it('refuse an alternate exchange that is no string', () => {
    expect(() => engine.exchange('x', 'direct', { 'alternate-exchange': 5 })).toThrow(
      `PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in ${X}`,
    );
  });

  it('leave the default exchange and the predeclared ones alone', () => {
    const DEFAULT = 'ACCESS_REFUSED - operation not permitted on the default exchange';
    engine.queue('q');
    expect(() => engine.exchange('', 'direct')).toThrow(DEFAULT);
    expect(() => engine.host.deleteExchange('', false)).toThrow(DEFAULT);
    expect(() => engine.bind('', 'q')).toThrow(DEFAULT);
    expect(() => engine.bindExchange('amq.direct', '')).toThrow(DEFAULT);
    expect(() => engine.host.deleteExchange('amq.direct', false)).toThrow(
      "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
    );
    engine.exchange('amq.direct', 'direct');
  });

  it('can be deleted twice, but not in use when that was asked', () => {
    engine.exchange('x', 'direct');
    engine.queue('q');
    engine.bind('x', 'q');
    expect(() => engine.host.deleteExchange('x', true)).toThrow(`PRECONDITION_FAILED - ${X} in use`);
    engine.host.deleteExchange('x', false);
    engine.host.deleteExchange('x', true);
  });
});

describe('bindings', () => {
  it('need both ends, exchange first', () => {
    expect(() => engine.bind('x', 'q')).toThrow("no exchange 'x' in vhost '/'");
    expect(() => engine.bind('amq.direct', 'q')).toThrow("no queue 'q' in vhost '/'");
    expect(() => engine.bindExchange('amq.direct', 'none')).toThrow("no exchange 'none' in vhost '/'");
  });

  it('can be removed when they or their ends are not there', () => {
    engine.queue('q');
    for (const [source, destination] of [
      ['none', 'q'],
      ['amq.direct', 'none'],
      ['amq.direct', 'q'],
    ] as const) {
      engine.host.unbindQueue({ source, destination, routingKey: '', arguments: [] }, engine.owner);
      engine.host.unbindExchange({ source, destination, routingKey: '', arguments: [] });
    }
  });

  it('are the same when their arguments are, in any order', () => {
    engine.queue('q');
    engine.bind('amq.headers', 'q', '', { a: 1, b: 2 });
    engine.bind('amq.headers', 'q', '', { b: 2, a: 1 });
    expect(engine.engine.stats().bindings).toBe(1);
  });

  it('change nothing when their arguments are refused', () => {
    engine.queue('q');
    expect(() => engine.bind('amq.headers', 'q', '', { 'x-match': 'bogus' })).toThrow('Invalid x-match');
    expect(engine.engine.stats().bindings).toBe(0);
  });
});

describe('consumers', () => {
  const IN_USE = `ACCESS_REFUSED - ${Q} in exclusive use`;

  it('that want to be alone are refused beside others, and refuse others', () => {
    engine.queue('q');
    const alone = engine.consume('q', { exclusive: true });
    expect(() => engine.consume('q')).toThrow(IN_USE);
    engine.host.cancel('q', alone);
    engine.consume('q');
    expect(() => engine.consume('q', { exclusive: true })).toThrow(IN_USE);
  });

  it('of a quorum queue share no prefetch with others of their channel', () => {
    engine.queue('q', { 'x-queue-type': 'quorum' });
    expect(() => engine.consume('q', { isUnderSharedPrefetch: true })).toThrow(
      `NOT_IMPLEMENTED - ${Q} does not support global qos`,
    );
    engine.consume('q');
  });

  it('cannot be exclusive, and nobody can get, where one consumer is active at a time', () => {
    engine.queue('q', { 'x-single-active-consumer': true });
    expect(() => engine.consume('q', { exclusive: true })).toThrow(IN_USE);
    expect(() => engine.host.get('q', true, engine.owner, () => undefined)).toThrow(
      `RESOURCE_LOCKED - cannot obtain access to locked ${Q}. basic.get operations are not supported by classic queues ` +
        'with single active consumer',
    );
  });
});

describe('a publish', () => {
  const refused: [expiration: string, reason: string][] = [
    ['abc', 'no_integer'],
    ['', 'no_integer'],
    [' 5', 'no_integer'],
    ['-1', '{value_negative,-1}'],
    ['315360000001', '{value_too_large,315360000001}'],
    ['1.5', '{leftover_string,".5"}'],
  ];
  for (const [expiration, reason] of refused) {
    it(`with expiration '${expiration}' is refused and stored nowhere`, () => {
      engine.queue('q');
      expect(() => engine.publish('', 'q', '1', { expiration })).toThrow(
        `PRECONDITION_FAILED - invalid expiration '${expiration}': ${reason}`,
      );
      expect(engine.ready('q')).toBe(0);
    });
  }

  it('needs an exchange', () => {
    expect(() => engine.publish('none', '', '1')).toThrow("NOT_FOUND - no exchange 'none' in vhost '/'");
  });
});
