import { RETRY_LADDER } from './ladder.js';
import type { Outcome } from './outcome.js';
import type { FollowUp } from './ports.js';
import type { TargetKind } from './sender.js';

/** One rung of the retry ladder. */
export interface Rung {
  delayMs: number;
}

export interface Attempted {
  outcome: Outcome;
  /** From 1. */
  attempt: number;
  /** Attempts that failed before this one, since the notification was new or last replayed. */
  failures: number;
  /** What the notification channel does after an attempt without an answer. */
  afterUnknown: TargetKind['afterUnknown'];
  now: number;
}

/**
 * What follows an attempt.
 *
 *   accepted                 nothing
 *   retryable                the n-th failure takes the n-th rung, or a later one that is as long as the provider asked; past the last: dead `exhausted`
 *   retryable, aborted       the first rung: we stopped it ourselves, so it is no failure (`isFailure`)
 *   rate-limited             waits until the provider opens again
 *   permanent, configuration dead
 *   unknown                  as retryable, or dead `no-answer`, as the notification channel says
 *
 * The rung is found by failures, not by the attempt's number: waiting and a replay use up numbers, but no rungs.
 */
export function followUpOf(
  { outcome, attempt, failures, afterUnknown, now }: Attempted,
  ladder: readonly Rung[] = RETRY_LADDER,
): FollowUp {
  switch (outcome.outcome) {
    case 'accepted':
      return { next: 'none' };
    case 'retryable':
      return isFailure(outcome)
        ? retryOn(rungFor(ladder, failures, outcome.afterMs), attempt)
        : retryOn(ladder[0], attempt);
    case 'rate-limited':
      return { next: 'wait', attempt: attempt + 1, until: now + outcome.blockedForMs };
    case 'permanent':
    case 'configuration':
      return { next: 'dead', reason: outcome.reason };
    case 'unknown':
      return afterUnknown === 'give-up'
        ? { next: 'dead', reason: 'no-answer' }
        : retryOn(rungFor(ladder, failures), attempt);
    default:
      return unreachable(outcome);
  }
}

/** True when an attempt that ended so uses up a rung of the ladder, should it be tried again. */
export function isFailure(outcome: Outcome): boolean {
  if (outcome.outcome === 'retryable') return outcome.reason !== 'aborted';
  return outcome.outcome === 'unknown';
}

function retryOn(rung: Rung | undefined, attempt: number): FollowUp {
  return rung ? { next: 'retry', attempt: attempt + 1, delayMs: rung.delayMs } : { next: 'dead', reason: 'exhausted' };
}

// A provider that asks for more than the longest rung gets the longest: the ladder has no other queue.
function rungFor(ladder: readonly Rung[], failures: number, afterMs = 0): Rung | undefined {
  const left = ladder.slice(failures);
  return left.find((rung) => rung.delayMs >= afterMs) ?? left.at(-1);
}

function unreachable(outcome: never): never {
  throw new Error(`no follow-up for ${JSON.stringify(outcome)}`);
}
