import { queryObjects } from 'node:v8';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Queue } from '../queues/queue.js';
import { QueueIndex } from '../queues/queue-index.js';
import { EngineUnderTest, ticks } from './engine.harness.js';

const QUEUES = 500;

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open();
  engine.exchange('all', 'fanout');
  engine.queue('kept');
});
afterEach(() => engine.close());

describe('temporary queues that were used once', () => {
  it.each<[how: string, endQueue: (name: string) => Promise<void> | void]>([
    [
      'were deleted',
      (name) => {
        engine.host.deleteQueue(name, { ifUnused: false, ifEmpty: false }, engine.owner);
      },
    ],
    ['went with their consumer', (name) => engine.host.cancel(name, engine.consume(name))],
    ['expired', () => engine.clock.advance(100)],
    ['went with their connection', () => engine.host.releaseOwner(engine.owner)],
  ])('leave no object in memory when they %s', async (how, endQueue) => {
    const flags = { autoDelete: how === 'went with their consumer', exclusive: how === 'went with their connection' };
    const lease = how === 'expired' ? { 'x-expires': 100 } : {};
    for (let index = 0; index < QUEUES; index++) {
      const { name } = engine.queue(`temporary ${index}`, lease, flags);
      engine.bind('all', name);
      engine.publish('all', '', 'used');
      await engine.get(name);
      engine.publish('', name, 'left in it');
      await endQueue(name);
    }
    await ticks();
    expect(engine.engine.stats().queues.map(({ name }) => name)).toEqual(['kept']);
    // Objects that the garbage collector finds alive, not megabytes, which come and go.
    expect(queryObjects(Queue, { format: 'count' })).toBe(1);
    expect(queryObjects(QueueIndex, { format: 'count' })).toBe(1);
  });
});
