import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EngineUnderTest, ticks } from './engine.harness.js';

const QUEUES = 500;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

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
    // Those that were handed out with a message are the engine's own.
    const used: WeakRef<object>[] = [];
    const use = async (name: string) => used.push(new WeakRef((await engine.get(name))!.queue));
    engine.publish('', 'kept', 'used');
    await use('kept');
    for (let index = 0; index < QUEUES; index++) {
      const { name } = engine.queue(`temporary ${index}`, lease, flags);
      engine.bind('all', name);
      engine.publish('all', '', 'used');
      await use(name);
      engine.publish('', name, 'left in it');
      await endQueue(name);
    }
    await ticks();
    expect(engine.engine.stats().queues.map(({ name }) => name)).toEqual(['kept']);
    collectGarbage();
    await ticks();
    collectGarbage();
    // Objects, not megabytes, which come and go.
    expect(used.filter((queue) => queue.deref() !== undefined)).toHaveLength(1);
  });
});
