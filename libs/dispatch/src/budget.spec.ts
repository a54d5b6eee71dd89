import { describe, expect, it } from '@jest/globals';
import { budgetLeft, spend } from './budget.js';

const robot = { name: 'dingtalk:a', windowMs: 60_000, limit: 2, spends: [], blockedUntil: 0 };

describe('budget', () => {
  it('never lets more than the limit into any window', () => {
    const full = spend(spend(robot, 1_000), 50_000);
    expect(budgetLeft(full, 60_999)).toBe(0);
    expect(budgetLeft(full, 61_000)).toBe(1);
  });

  it('has nothing left while the provider blocks it', () => {
    expect(budgetLeft({ ...robot, blockedUntil: 5 }, 4)).toBe(0);
    expect(budgetLeft({ ...robot, blockedUntil: 5 }, 5)).toBe(2);
  });

  it('forgets spends that left the window', () => {
    expect(spend({ ...robot, spends: [1] }, 60_001).spends).toEqual([60_001]);
  });
});
