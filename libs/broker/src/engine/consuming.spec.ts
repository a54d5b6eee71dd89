import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Delivered, EngineUnderTest, ticks } from './engine.harness.js';

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open();
});
afterEach(() => engine.close());

describe('several consumers', () => {
  it('get messages in turn, the higher priority first', async () => {
    engine.queue('q');
    const low = engine.consume('q', { priority: -1 });
    const [a, b] = [engine.consume('q', { room: 2 }), engine.consume('q', { room: 2 })];
    await ticks();
    for (const body of ['1', '2', '3', '4', '5']) engine.publish('', 'q', body);
    await ticks();
    expect([a.bodies, b.bodies, low.bodies]).toEqual([['1', '3'], ['2', '4'], ['5']]);
  });

  it('do not wait for one that has no room', async () => {
    engine.queue('q');
    engine.consume('q', { room: 0 });
    const other = engine.consume('q');
    for (const body of ['1', '2']) engine.publish('', 'q', body);
    await ticks();
    expect(other.bodies).toEqual(['1', '2']);
  });

  it('get equal shares, each in a row, when there are very many and as much to do', async () => {
    engine.queue('q');
    const consumers = Array.from({ length: 65 }, () => engine.consume('q'));
    await ticks();
    for (let number = 0; number < 65 * 3; number++) engine.publish('', 'q', String(number));
    await ticks();
    expect(consumers.map(({ bodies }) => bodies)).toEqual(
      consumers.map((_, index) => [3 * index, 3 * index + 1, 3 * index + 2].map(String)),
    );

    for (let number = 0; number < 64; number++) engine.publish('', 'q', 'one each');
    await ticks();
    expect(consumers.map(({ deliveries }) => deliveries.length)).toEqual([...new Array(64).fill(4), 3]);
  });

  it('leave their unacked deliveries in the queue when they are cancelled', async () => {
    engine.queue('q');
    engine.publish('', 'q', '1');
    const consumer = engine.consume('q');
    await ticks();
    engine.host.cancel('q', consumer);
    expect(engine.unacked('q')).toBe(1);
    settle(consumer.deliveries[0]!);
    expect(engine.unacked('q')).toBe(0);
  });
});

describe('a single active consumer', () => {
  it('is followed by the next one when it goes, in order', async () => {
    engine.queue('q', { 'x-queue-type': 'quorum', 'x-single-active-consumer': true });
    const [first, second] = [engine.consume('q', { room: 1 }), engine.consume('q')];
    for (const body of ['1', '2', '3']) engine.publish('', 'q', body);
    await ticks();
    expect([first.bodies, second.bodies]).toEqual([['1'], []]);

    engine.host.cancel('q', first);
    await ticks();
    expect(second.bodies).toEqual(['2', '3']);
    const out = first.deliveries[0]!;
    out.queue.requeue([out.sequence]);
    await ticks();
    expect(second.deliveries.at(-1)).toMatchObject({ body: '1', redelivered: true, failures: 1 });
  });
});

describe('priorities', () => {
  it('go before, each level in its order, clamped to the highest', async () => {
    engine.queue('q', { 'x-max-priority': 3 });
    for (const [body, priority] of [
      ['a', 0],
      ['b', 3],
      ['c', 1],
      ['d', 200],
      ['e', undefined],
      ['f', 1],
    ] as const) {
      engine.publish('', 'q', body, { priority });
    }
    expect(await engine.drain('q')).toEqual(['b', 'd', 'c', 'f', 'a', 'e']);
  });

  it('are kept over a restart', async () => {
    engine.queue('q', { 'x-max-priority': 3 });
    for (const [body, priority] of [
      ['a', 0],
      ['b', 3],
    ] as const)
      engine.publish('', 'q', body, { priority });
    await engine.reopen();
    const ready = (await engine.get('q', false))!;
    expect(ready.message.body.toString()).toBe('b');
    settle(ready);
    expect(await engine.drain('q')).toEqual(['a']);
  });
});

describe('a backlog larger than the memory for it', () => {
  const count = 3000;
  const bodies = Array.from({ length: count }, (_, index) => String(index).padStart(1000, '.'));
  beforeEach(async () => {
    await engine.close();
    engine = await EngineUnderTest.open({ messageMemoryBytes: 100_000 });
    engine.queue('q');
  });

  it('leaves memory and comes back in order', async () => {
    for (const body of bodies) engine.publish('', 'q', body);
    expect(engine.engine.stats().messageMemoryBytes).toBeLessThan(110_000);
    const consumer = engine.consume('q', { noAck: true });
    while (consumer.deliveries.length < count) await ticks();
    expect(consumer.bodies).toEqual(bodies);
    expect(engine.engine.stats().messageMemoryBytes).toBe(0);
  });

  it('comes back after a restart, also to a get and after a requeue', async () => {
    for (const body of bodies) engine.publish('', 'q', body);
    await engine.reopen();
    const taken = await Promise.all([0, 1, 2].map(() => engine.get('q', false)));
    expect(taken.map((ready) => ready!.message.body.toString())).toEqual(bodies.slice(0, 3));
    taken[0]!.queue.requeue(taken.map((ready) => ready!.sequence));
    expect(await engine.drain('q')).toEqual(bodies);
  });

  it('does not keep what consumers hold, and dead-letters it all the same', async () => {
    engine.queue('r', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'q' });
    for (const body of bodies) engine.publish('', 'r', body);
    const consumer = engine.consume('r');
    while (consumer.deliveries.length < count) await ticks();
    expect(engine.engine.stats().messageMemoryBytes).toBeLessThan(110_000);
    consumer.deliveries[0]!.queue.reject(consumer.deliveries.map((delivery) => delivery.sequence));
    while (engine.ready('q') < count) await ticks();
    expect(await engine.drain('q')).toEqual(bodies);
    expect(engine.unacked('r')).toBe(0);
  });

  it('stays in memory where there is no disk copy', async () => {
    for (const body of bodies) engine.publish('', 'q', body, { deliveryMode: 1 });
    expect(await engine.drain('q')).toEqual(bodies);
    expect(engine.engine.stats().messageMemoryBytes).toBe(0);
  });

  it('answers a waiting get with nothing when the queue is deleted', async () => {
    for (const body of bodies) engine.publish('', 'q', body);
    await engine.reopen();
    const waiting = engine.get('q');
    engine.host.deleteQueue('q', { ifUnused: false, ifEmpty: false }, engine.owner);
    expect(await waiting).toBeUndefined();
  });
});

describe('the books', () => {
  it('balance over many queues, consumers and fates', async () => {
    engine.exchange('x', 'fanout');
    for (const name of ['a', 'b', 'c']) {
      engine.queue(name);
      engine.bind('x', name);
    }
    for (let index = 0; index < 500; index++) {
      engine.publish('x', '', String(index), { deliveryMode: index % 3 === 0 ? 1 : 2 });
    }
    const consumer = engine.consume('a');
    while (consumer.deliveries.length < 500) await ticks();
    const sequences = consumer.deliveries.map((delivery) => delivery.sequence);
    const { queue } = consumer.deliveries[0]!;
    queue.requeue(sequences.filter((_, index) => index % 2 === 0));
    queue.acknowledge(sequences.filter((_, index) => index % 2 === 1));
    while (consumer.deliveries.length < 750) await ticks();
    const again = consumer.deliveries.slice(500);
    expect(again.every((delivery) => delivery.redelivered)).toBe(true);
    queue.reject(again.map((delivery) => delivery.sequence));
    expect(engine.host.purgeQueue('b', engine.owner)).toBe(500);
    engine.host.deleteQueue('c', { ifUnused: false, ifEmpty: false }, engine.owner);
    const stats = engine.engine.stats();
    expect(stats.messageMemoryBytes).toBe(0);
    expect(stats.log.livePlacements).toBe(0);
    expect(stats.queues.map(({ ready, unacked, bytes }) => ready + unacked + bytes)).toEqual([0, 0]);
  });
});

function settle({ queue, sequence }: Pick<Delivered, 'queue' | 'sequence'>): void {
  queue.acknowledge([sequence]);
}
