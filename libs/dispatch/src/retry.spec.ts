import { describe, expect, it } from '@jest/globals';
import type { Outcome } from './outcome.js';
import { followUpOf } from './retry.js';

const ladder = [{ delayMs: 5 }, { delayMs: 30 }, { delayMs: 120 }];
const busy: Outcome = { outcome: 'retryable', reason: 'provider-busy' };
const unknown: Outcome = { outcome: 'unknown', reason: 'no-answer' };

describe('follow-up of an attempt', () => {
  it.each([
    ['accepted', { outcome: 'accepted' }, 1, { next: 'none' }],
    ['first failure', busy, 1, { next: 'retry', attempt: 2, delayMs: 5 }],
    ['third failure', busy, 3, { next: 'retry', attempt: 4, delayMs: 120 }],
    ['past the ladder', busy, 4, { next: 'dead', reason: 'exhausted' }],
    ['the first rung that is long enough', { ...busy, afterMs: 31 }, 1, { next: 'retry', attempt: 2, delayMs: 120 }],
    ['a rung exactly as long', { ...busy, afterMs: 30 }, 1, { next: 'retry', attempt: 2, delayMs: 30 }],
    ['longer than every rung', { ...busy, afterMs: 999 }, 2, { next: 'retry', attempt: 3, delayMs: 120 }],
    ['never an earlier rung', { ...busy, afterMs: 1 }, 2, { next: 'retry', attempt: 3, delayMs: 30 }],
    [
      'stopped by ourselves',
      { outcome: 'retryable', reason: 'aborted' },
      9,
      { next: 'retry', attempt: 10, delayMs: 5 },
    ],
    ['rate limited', { outcome: 'rate-limited', blockedForMs: 600 }, 1, { next: 'wait', attempt: 2, until: 1_600 }],
    ['permanent', { outcome: 'permanent', reason: 'recipient' }, 1, { next: 'dead', reason: 'recipient' }],
    [
      'configuration',
      { outcome: 'configuration', reason: 'configuration' },
      1,
      { next: 'dead', reason: 'configuration' },
    ],
    ['no answer, resend', unknown, 2, { next: 'retry', attempt: 3, delayMs: 30 }],
    ['no answer, past the ladder', unknown, 4, { next: 'dead', reason: 'exhausted' }],
  ] as [string, Outcome, number, unknown][])('%s', (_name, outcome, attempt, expected) => {
    expect(followUpOf({ outcome, attempt, afterUnknown: 'resend', now: 1_000 }, ladder)).toEqual(expected);
  });

  it('gives up without an answer where a second message would be worse', () => {
    expect(followUpOf({ outcome: unknown, attempt: 1, afterUnknown: 'give-up', now: 0 }, ladder)).toEqual({
      next: 'dead',
      reason: 'no-answer',
    });
  });
});
