import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { LEAD_MAX, QUICK_MS } from '../consumer-bias.js';
import { EngineUnderTest, ticks } from './engine.harness.js';

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open();
  engine.queue('q');
});
afterEach(() => engine.close());

it('a publish behind more than the lead of a quick consumer overtakes it', async () => {
  await aConsumerSettlesOne();
  expect(overtakenBy(LEAD_MAX)).toBe(0);
  expect(overtakenBy(3)).toBe(3);
});

it('a consumer that has settled nothing for a while is not waited for', async () => {
  await aConsumerSettlesOne();
  overtakenBy(LEAD_MAX);
  await engine.clock.advance(QUICK_MS + 1);
  expect(overtakenBy(3)).toBe(0);
});

it('without a consumer nobody is overtaken', () => {
  expect(overtakenBy(LEAD_MAX + 3)).toBe(0);
});

it('consumers that wait for bodies from the disk are not overtaken', async () => {
  await engine.close();
  engine = await EngineUnderTest.open({ messageMemoryBytes: 1 });
  engine.queue('q');
  await aConsumerSettlesOne();
  expect(overtakenBy(LEAD_MAX + 3)).toBe(0);
});

async function aConsumerSettlesOne(): Promise<void> {
  const consumer = engine.consume('q', { room: 1 });
  engine.publish('', 'q', 'first');
  while (consumer.deliveries.length === 0) await ticks();
  const { queue, sequence } = consumer.deliveries[0]!;
  queue.acknowledge([sequence]);
}

function overtakenBy(publishes: number): number {
  for (let count = 0; count < publishes; count++) engine.publish('', 'q', 'x');
  return engine.engine.consumerBias.takeOvertaken();
}
