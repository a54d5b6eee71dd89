import { expect, it } from '@jest/globals';
import { ConsumerBias, OVERTAKING_PER_MS } from './consumer-bias.js';
import { FakeClock } from './engine/engine.harness.js';

it('counts what was published ahead in one read', () => {
  const bias = new ConsumerBias(new FakeClock());
  bias.overtook();
  bias.overtook();
  expect([bias.takeOvertaken(), bias.takeOvertaken()]).toEqual([2, 0]);
});

it('lets publishers go on in their turn, each when as much was settled as it published ahead', () => {
  const bias = new ConsumerBias(new FakeClock());
  const resumed: string[] = [];
  bias.settled(1_000);
  bias.giveWay(10, () => resumed.push('first'));
  bias.giveWay(2, () => resumed.push('second'));
  bias.settled(9);
  expect(resumed).toEqual([]);
  bias.settled(1);
  expect(resumed).toEqual(['first']);
  bias.settled(2);
  expect(resumed).toEqual(['first', 'second']);
});

it('lets them go on after a while though nothing is settled', async () => {
  const clock = new FakeClock();
  const bias = new ConsumerBias(clock);
  const resumed: string[] = [];
  bias.giveWay(OVERTAKING_PER_MS * 2, () => resumed.push('first'));
  bias.giveWay(OVERTAKING_PER_MS, () => resumed.push('second'));
  await clock.advance(1);
  expect(resumed).toEqual([]);
  await clock.advance(1);
  expect(resumed).toEqual(['first']);
  await clock.advance(1);
  expect(resumed).toEqual(['first', 'second']);
  expect(clock.timerCount).toBe(0);
});

it('does not count time in which nobody waited', async () => {
  const clock = new FakeClock();
  const bias = new ConsumerBias(clock);
  const resumed: string[] = [];
  bias.giveWay(1, () => resumed.push('first'));
  bias.settled(1);
  await clock.advance(1_000);
  bias.giveWay(OVERTAKING_PER_MS, () => resumed.push('second'));
  bias.settled(1);
  expect(resumed).toEqual(['first']);
});
