import { describe, expect, it } from '@jest/globals';
import type { Outcome } from './outcome.js';
import { followUpOf, isFailure } from './retry.js';

const ladder = [{ delayMs: 5 }, { delayMs: 30 }, { delayMs: 120 }];
const busy: Outcome = { outcome: 'retryable', reason: 'provider-busy' };
const unknown: Outcome = { outcome: 'unknown', reason: 'no-answer' };
const aborted: Outcome = { outcome: 'retryable', reason: 'aborted' };
const limited: Outcome = { outcome: 'rate-limited', blockedForMs: 600 };

describe('follow-up of an attempt', () => {
  it.each([
    ['accepted', { outcome: 'accepted' }, 0, { next: 'none' }],
    ['first failure', busy, 0, { next: 'retry', attempt: 8, delayMs: 5 }],
    ['third failure', busy, 2, { next: 'retry', attempt: 8, delayMs: 120 }],
    ['past the ladder', busy, 3, { next: 'dead', reason: 'exhausted' }],
    ['the first rung that is long enough', { ...busy, afterMs: 31 }, 0, { next: 'retry', attempt: 8, delayMs: 120 }],
    ['a rung exactly as long', { ...busy, afterMs: 30 }, 0, { next: 'retry', attempt: 8, delayMs: 30 }],
    ['longer than every rung', { ...busy, afterMs: 999 }, 1, { next: 'retry', attempt: 8, delayMs: 120 }],
    ['never an earlier rung', { ...busy, afterMs: 1 }, 1, { next: 'retry', attempt: 8, delayMs: 30 }],
    ['stopped by ourselves', aborted, 3, { next: 'retry', attempt: 8, delayMs: 5 }],
    ['rate limited', limited, 3, { next: 'wait', attempt: 8, until: 1_600 }],
    ['permanent', { outcome: 'permanent', reason: 'recipient' }, 0, { next: 'dead', reason: 'recipient' }],
    [
      'configuration',
      { outcome: 'configuration', reason: 'configuration' },
      0,
      { next: 'dead', reason: 'configuration' },
    ],
    ['no answer, resend', unknown, 1, { next: 'retry', attempt: 8, delayMs: 30 }],
    ['no answer, past the ladder', unknown, 3, { next: 'dead', reason: 'exhausted' }],
  ] as [string, Outcome, number, unknown][])('%s', (_name, outcome, failures, expected) => {
    const attempted = { outcome, attempt: 7, failures, afterUnknown: 'resend', now: 1_000 } as const;
    expect(followUpOf(attempted, ladder)).toEqual(expected);
  });

  it('gives up without an answer where a second message would be worse', () => {
    expect(followUpOf({ outcome: unknown, attempt: 1, failures: 0, afterUnknown: 'give-up', now: 0 }, ladder)).toEqual({
      next: 'dead',
      reason: 'no-answer',
    });
  });

  it('counts as failures what the provider or the way to it failed at', () => {
    expect([busy, unknown].every(isFailure)).toBe(true);
    expect([aborted, limited, { outcome: 'accepted' } as const].some(isFailure)).toBe(false);
  });
});
