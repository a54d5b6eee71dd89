import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EngineUnderTest, ticks } from './engine/engine.harness.js';

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open();
});
afterEach(() => engine.close());

describe('deliver and settle', () => {
  it('delivers in the order of publishing, from the tick after consume', async () => {
    engine.queue('q');
    for (const body of ['1', '2', '3']) engine.publish('', 'q', body);
    const consumer = engine.consume('q');
    expect(consumer.bodies).toEqual([]);
    await ticks();
    expect(consumer.bodies).toEqual(['1', '2', '3']);
    expect(engine.unacked('q')).toBe(3);

    const [first, ...others] = consumer.deliveries;
    first!.queue.acknowledge([first!.sequence]);
    first!.queue.requeue(others.map((delivery) => delivery.sequence));
    expect(engine.unacked('q')).toBe(0);
    expect(engine.ready('q')).toBe(2);
  });

  it('puts a requeued message back to its place and marks it redelivered', async () => {
    engine.queue('q');
    for (const body of ['1', '2', '3']) engine.publish('', 'q', body);
    const first = (await engine.get('q', false))!;
    expect(first.redelivered).toBe(false);
    expect(first.messageCount).toBe(2);
    first.queue.requeue([first.sequence]);

    const again = (await engine.get('q', false))!;
    expect(again.message.body.toString()).toBe('1');
    expect(again.redelivered).toBe(true);
  });

  it('settles before handing over when the consumer does not acknowledge', async () => {
    engine.queue('q');
    engine.publish('', 'q', '1');
    const consumer = engine.consume('q', { noAck: true });
    await ticks();
    expect(consumer.bodies).toEqual(['1']);
    expect(engine.unacked('q')).toBe(0);
    await engine.reopen();
    expect(engine.ready('q')).toBe(0);
  });

  it('goes on when a consumer has room again', async () => {
    engine.queue('q');
    for (const body of ['1', '2', '3']) engine.publish('', 'q', body);
    const consumer = engine.consume('q', { room: 1 });
    await ticks();
    expect(consumer.bodies).toEqual(['1']);
    consumer.room = 2;
    engine.host.consumerHasRoom('q', consumer);
    await ticks();
    expect(consumer.bodies).toEqual(['1', '2', '3']);
  });

  it('answers a get on an empty queue with nothing', async () => {
    engine.queue('q');
    expect(await engine.get('q')).toBeUndefined();
  });
});

describe('after a restart', () => {
  it('has the durable definitions and persistent messages, and only these', async () => {
    engine.queue('durable');
    engine.queue('transient', {}, { durable: false });
    engine.exchange('x', 'topic');
    engine.exchange('tx', 'fanout', {}, { durable: false });
    engine.bind('x', 'durable', 'a.#');
    engine.bind('tx', 'durable');
    engine.publish('x', 'a.b', 'kept');
    engine.publish('x', 'a.b', 'lost', { deliveryMode: 1 });
    await engine.reopen();

    expect(engine.ready('durable')).toBe(1);
    expect(() => engine.ready('transient')).toThrow("NOT_FOUND - no queue 'transient' in vhost '/'");
    expect(() => engine.publish('tx', '', 'x')).toThrow("NOT_FOUND - no exchange 'tx' in vhost '/'");
    expect(engine.publish('x', 'a.c', 'new')).toBe('routed');
    expect(await engine.drain('durable')).toEqual(['kept', 'new']);
    expect(engine.reports).toEqual([]);
  });

  it('forgets what was acknowledged, purged or deleted', async () => {
    engine.queue('q');
    engine.queue('gone');
    for (const body of ['1', '2', '3']) engine.publish('', 'q', body);
    engine.publish('', 'gone', 'x');
    const first = (await engine.get('q', false))!;
    first.queue.acknowledge([first.sequence]);
    engine.host.deleteQueue('gone', { ifUnused: false, ifEmpty: false }, engine.owner);
    await engine.reopen();
    expect(engine.ready('q')).toBe(2);
    expect(engine.host.purgeQueue('q', engine.owner)).toBe(2);
    engine.queue('gone');
    await engine.reopen();
    expect(engine.ready('q')).toBe(0);
    expect(engine.ready('gone')).toBe(0);
  });

  it('remembers what was requeued as redelivered', async () => {
    engine.queue('q');
    engine.publish('', 'q', '1');
    engine.publish('', 'q', '2');
    const first = (await engine.get('q', false))!;
    first.queue.requeue([first.sequence]);
    await engine.reopen();
    expect((await engine.get('q'))!.redelivered).toBe(true);
    expect((await engine.get('q'))!.redelivered).toBe(false);
  });
});
