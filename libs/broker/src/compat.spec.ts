import { afterEach, describe, expect, it } from '@jest/globals';
import { PROTOCOL_HEADER, plainTable, type Table, tableOf } from '#amqp-codec';
import { behaviourOf, type Compat, type Permits } from './compat.js';
import { EngineUnderTest, headersOf } from './engine/engine.harness.js';
import { type PeerDialogue, WireFixture } from './wire.harness.js';

/** A row for each difference that facts of RabbitMQ's versions name, a column for each profile. */
const TABLE: Record<Compat, Outcomes> = {
  '3.13': {
    version: '3.13.7',
    unknownExchangeType: ['connection.close', 503],
    smallestFrameMax: 4096,
    messageBytesMax: 134_217_728,
    memoryShareMax: 0.4,
    transientQueue: 'queue.declare-ok',
    globalQosIsShared: true,
    queueModeLazy: 'queue.declare-ok',
    queueVersion1: 'queue.declare-ok',
    quorumLivesAfter21Rejects: true,
    quorumLivesAfter21Nacks: true,
    threeHashes: 'queue.bind-ok',
    countOfClientsDeath: 6,
  },
  '4.2': {
    version: '4.2.0',
    unknownExchangeType: ['channel.close', 406],
    smallestFrameMax: 8192,
    messageBytesMax: 16_777_216,
    memoryShareMax: 0.6,
    transientQueue: 'queue.declare-ok',
    globalQosIsShared: true,
    queueModeLazy: 'queue.declare-ok',
    queueVersion1: 'queue.declare-ok',
    quorumLivesAfter21Rejects: false,
    quorumLivesAfter21Nacks: false,
    threeHashes: 'queue.bind-ok',
    countOfClientsDeath: 1,
  },
  '4.3': {
    version: '4.3.5',
    unknownExchangeType: ['channel.close', 406],
    smallestFrameMax: 8192,
    messageBytesMax: 16_777_216,
    memoryShareMax: 0.6,
    transientQueue: ['connection.close', 541],
    globalQosIsShared: false,
    queueModeLazy: ['channel.close', 406],
    queueVersion1: ['channel.close', 406],
    quorumLivesAfter21Rejects: false,
    quorumLivesAfter21Nacks: true,
    threeHashes: ['channel.close', 406],
    countOfClientsDeath: 1,
  },
};

type Answer = 'queue.declare-ok' | 'queue.bind-ok' | ['channel.close' | 'connection.close', number];

interface Outcomes {
  version: string;
  unknownExchangeType: Answer;
  smallestFrameMax: number;
  messageBytesMax: number;
  memoryShareMax: number;
  transientQueue: Answer;
  globalQosIsShared: boolean;
  queueModeLazy: Answer;
  queueVersion1: Answer;
  quorumLivesAfter21Rejects: boolean;
  quorumLivesAfter21Nacks: boolean;
  threeHashes: Answer;
  countOfClientsDeath: number;
}

const QUORUM = tableOf({ 'x-queue-type': 'quorum' });

let engine: EngineUnderTest | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

async function aFixture(compat: Compat, permits?: Partial<Permits>): Promise<WireFixture> {
  const behaviour = behaviourOf(compat, permits);
  engine = await EngineUnderTest.open({ behaviour });
  return new WireFixture({ behaviour, virtualHosts: engine.engine, durability: engine.engine.durability });
}

async function expectsAnswer(peer: PeerDialogue, answer: Answer): Promise<void> {
  if (typeof answer === 'string') await peer.expects(answer);
  else await peer.expects(answer[0], { replyCode: answer[1] });
}

describe.each(Object.entries(TABLE) as [Compat, Outcomes][])('as RabbitMQ %s', (compat, outcomes) => {
  it('reports that version, and itself beside it', async () => {
    const peer = (await aFixture(compat)).connects();
    peer.write(PROTOCOL_HEADER);
    const { serverProperties } = await peer.expects('connection.start');
    const { product, version, server } = plainTable(serverProperties);
    expect([product, version, server]).toEqual(['RabbitMQ', outcomes.version, 'Tocsin']);
  });

  it('takes frames down to its own minimum', async () => {
    const fixture = await aFixture(compat);
    await fixture.connects().handshakes({ frameMax: outcomes.smallestFrameMax });
    const peer = fixture.connects();
    const refused = peer.handshakes({ frameMax: outcomes.smallestFrameMax - 1 });
    await expect(refused).rejects.toThrow(`allowed value (${outcomes.smallestFrameMax})`);
  });

  it('limits messages and memory', async () => {
    const { messageBytesMax, memoryShareMax } = behaviourOf(compat);
    expect({ messageBytesMax, memoryShareMax }).toEqual({
      messageBytesMax: outcomes.messageBytesMax,
      memoryShareMax: outcomes.memoryShareMax,
    });
  });

  it('answers an exchange type nobody knows', async () => {
    const peer = await (await aFixture(compat)).aClient();
    peer.sends('exchange.declare', { exchange: 'x', type: 'nonsense' });
    await expectsAnswer(peer, outcomes.unknownExchangeType);
  });

  const declarations: [what: string, args: { durable: boolean; arguments: Table }, answer: Answer][] = [
    ['a transient queue that is not exclusive', { durable: false, arguments: [] }, outcomes.transientQueue],
    ['x-queue-mode', { durable: true, arguments: tableOf({ 'x-queue-mode': 'lazy' }) }, outcomes.queueModeLazy],
    ['version 1', { durable: true, arguments: tableOf({ 'x-queue-version': 1 }) }, outcomes.queueVersion1],
    ['version 2', { durable: true, arguments: tableOf({ 'x-queue-version': 2 }) }, 'queue.declare-ok'],
  ];
  it.each(declarations)('answers the declaration of %s', async (_what, args, answer) => {
    const peer = await (await aFixture(compat)).aClient();
    peer.sends('queue.declare', { queue: 'q', ...args });
    await expectsAnswer(peer, answer);
  });

  it('takes global qos for the channel, or for each consumer', async () => {
    const fixture = await aFixture(compat);
    const peer = await fixture.aClient();
    peer.sends('basic.qos', { prefetchCount: 3, global: true });
    await peer.expects('basic.qos-ok');
    const [{ prefetch, prefetchShared }] = [fixture.broker.stats().connections[0]!.channels[0]!];
    expect([prefetch, prefetchShared]).toEqual(outcomes.globalQosIsShared ? [0, 3] : [3, 0]);
  });

  it.each([
    ['reject', outcomes.quorumLivesAfter21Rejects],
    ['nack', outcomes.quorumLivesAfter21Nacks],
  ] as const)('gives up a message of a quorum queue after the default number of failures: %s', async (by, lives) => {
    const peer = await (await aFixture(compat)).aClient();
    peer.sends('queue.declare', { queue: 'q', durable: true, arguments: QUORUM });
    await peer.expects('queue.declare-ok');
    peer.publishes('q', 'stubborn');
    peer.sends('basic.consume', { queue: 'q', consumerTag: 'c' });
    await peer.expects('basic.consume-ok');
    for (let count = 0; count < 21; count++) {
      const { deliveryTag } = await peer.expects('basic.deliver', { redelivered: count > 0 });
      if (by === 'reject') peer.sends('basic.reject', { deliveryTag, requeue: true });
      else peer.sends('basic.nack', { deliveryTag, requeue: true });
    }
    if (lives) await peer.expects('basic.deliver');
    else await peer.expectsNothing();
  });

  it('bounds the # words of a topic key', async () => {
    const peer = await (await aFixture(compat)).aClient();
    peer.sends('queue.declare', { queue: 'q', durable: true });
    await peer.expects('queue.declare-ok');
    for (const [routingKey, answer] of [
      ['#.a.#', 'queue.bind-ok'],
      ['#.a.#.b.#', outcomes.threeHashes],
    ] as const) {
      peer.sends('queue.bind', { queue: 'q', exchange: 'amq.topic', routingKey });
      await expectsAnswer(peer, answer);
    }
  });

  it('goes on with the x-death of a client, or begins its own, also after a restart', async () => {
    await aFixture(compat);
    engine!.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
    engine!.queue('dead');
    // As RabbitMQ writes it: the count is a 64 bit number.
    const death = tableOf({ queue: 'q', reason: 'rejected', count: 5, exchange: '' });
    const headers: Table = [['x-death', { tag: 'A', value: [{ tag: 'F', value: death }] }]];
    engine!.publish('', 'q', 'body', { headers });
    await engine!.reopen();
    const ready = (await engine!.get('q', false))!;
    expect(headersOf(ready.message)).toMatchObject({ 'x-death': [{ count: 5 }] });
    ready.queue.reject([ready.sequence]);
    const letter = (await engine!.get('dead'))!;
    expect(headersOf(letter.message)).toMatchObject({ 'x-death': [{ count: outcomes.countOfClientsDeath }] });
  });
});

describe('what a profile refuses', () => {
  it('is served when permitted', async () => {
    const fixture = await aFixture('4.3', { transientNonexclQueues: true, globalQos: true });
    const peer = await fixture.aClient();
    await peer.declares('transient');
    peer.sends('basic.qos', { prefetchCount: 3, global: true });
    await peer.expects('basic.qos-ok');
    expect(fixture.broker.stats().connections[0]!.channels[0]!.prefetchShared).toBe(3);
  });

  it('stays when it was declared under an earlier profile', async () => {
    await aFixture('3.13');
    engine!.queue('q', { 'x-queue-mode': 'lazy' });
    await engine!.closeKeeping();
    const { directory } = engine!;
    engine = await EngineUnderTest.open({ directory, behaviour: behaviourOf('4.3') });
    expect(engine.reports).toEqual([]);
    expect(engine.engine.stats().queues.map(({ name }) => name)).toEqual(['q']);
  });
});
