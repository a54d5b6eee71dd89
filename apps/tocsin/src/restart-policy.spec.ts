import { describe, expect, it } from '@jest/globals';
import { decideRestart } from './restart-policy.js';

describe('restart policy', () => {
  it('waits longer with each death inside a minute', () => {
    expect(decideRestart([0], 0)).toEqual({ restart: 'after', delayMs: 200 });
    expect(decideRestart([0, 1_000, 2_000], 2_000)).toEqual({ restart: 'after', delayMs: 800 });
  });

  it('gives up at the sixth death inside a minute', () => {
    expect(decideRestart([0, 1, 2, 3, 4], 4).restart).toBe('after');
    expect(decideRestart([0, 1, 2, 3, 4, 5], 5)).toEqual({ restart: 'never' });
  });

  it('forgets deaths older than a minute', () => {
    expect(decideRestart([0, 1, 2, 3, 4, 5, 70_000], 70_000)).toEqual({ restart: 'after', delayMs: 200 });
  });
});
