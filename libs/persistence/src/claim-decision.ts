import {
  type Budget,
  type BudgetState,
  budgetLeft,
  type ClaimAnswer,
  type ClaimRequest,
  type FollowUp,
  spend,
} from '#dispatch';
import { openSince } from './attempt-age.js';
import { isFinal } from './notification-row.js';

/** What the database knows of one request. */
export interface KnownNotification {
  status: string;
  /** The digest that tells it. */
  via: string | undefined;
  failures: number;
  /** An earlier attempt had no answer. */
  unanswered: boolean;
  attempt: KnownAttempt;
}

export type KnownAttempt =
  | { at: 'absent' }
  /** Claimed, no outcome. */
  | { at: 'open'; claimedBy: string; claimedAt: number }
  | { at: 'settled'; followUp: FollowUp };

/** What the targets of a batch stand at; each decision changes it for the next. */
export interface Room {
  /** Targets with somebody waiting. */
  crowded: Set<string>;
  /** Sends under way, by target. */
  inFlight: Map<string, number>;
  budgets: Map<string, BudgetState>;
}

export type Hold =
  | { because: 'queue' }
  | { because: 'budget'; budget: string; until: number }
  | { because: 'in-flight'; sends: number };

export type Decision =
  | Extract<ClaimAnswer, { claim: 'granted' }>
  /** `hold` absent: it waits already and nothing changes. */
  | { claim: 'waiting'; hold?: Hold }
  | Extract<ClaimAnswer, { claim: 'settled' | 'busy' }>;

/**
 * One line per case, the first that holds:
 *
 *   attempt    notification          answer
 *   settled    any                   settled, with what follows
 *   any        sent, dead, suppressed   settled, nothing follows (told by a digest, or given up)
 *   open       by a live run         busy
 *   any        in a digest           waiting: the digest tells it
 *   any        waiting, not let go   waiting
 *   absent     others wait before it, too many sends under way, or no budget   waiting
 *   open       abandoned, no budget  waiting: a repeat is a send like any other
 *   open       abandoned             granted, resumed, may repeat
 *   absent     otherwise             granted; may repeat when an earlier attempt had no answer
 */
export function decideClaim(
  request: ClaimRequest,
  now: number,
  known: KnownNotification,
  room: Room,
  ownedByOneProcess: boolean,
): Decision {
  const { attempt, status, via, failures, unanswered } = known;
  if (attempt.at === 'settled') return { claim: 'settled', followUp: attempt.followUp };
  if (isFinal(status)) return { claim: 'settled', followUp: { next: 'none' } };
  if (attempt.at === 'open' && !isAbandoned(attempt, request, now, ownedByOneProcess)) return { claim: 'busy' };
  if (status === 'waiting' && (via !== undefined || !request.released)) return { claim: 'waiting' };

  const { targetKey } = request.envelope;
  const isResumed = attempt.at === 'open';
  // A repeat had its place in the order already, and its first claim counts as under way itself.
  const hold = (isResumed ? undefined : findCrowd(request, room)) ?? findClosedBudget(request.budgets, room, now);
  if (hold !== undefined) {
    room.crowded.add(targetKey);
    return { claim: 'waiting', hold };
  }
  if (!isResumed) room.inFlight.set(targetKey, (room.inFlight.get(targetKey) ?? 0) + 1);
  for (const budget of request.budgets) room.budgets.set(budget.name, spend(stateOf(budget, room), now));
  return { claim: 'granted', mayRepeat: isResumed || unanswered, isResumed, failures };
}

function isAbandoned(
  attempt: { claimedBy: string; claimedAt: number },
  request: ClaimRequest,
  now: number,
  ownedByOneProcess: boolean,
): boolean {
  return attempt.claimedAt <= openSince(now) || (ownedByOneProcess && attempt.claimedBy !== request.claimedBy);
}

function findCrowd({ envelope, released, perTargetInFlight }: ClaimRequest, room: Room): Hold | undefined {
  if (!released && room.crowded.has(envelope.targetKey)) return { because: 'queue' };
  const sends = room.inFlight.get(envelope.targetKey) ?? 0;
  return sends >= perTargetInFlight ? { because: 'in-flight', sends } : undefined;
}

function findClosedBudget(budgets: readonly Budget[], room: Room, now: number): Hold | undefined {
  const closed = budgets.map((budget) => stateOf(budget, room)).filter((state) => budgetLeft(state, now) <= 0);
  if (closed.length === 0) return undefined;
  const until = Math.max(...closed.map(({ blockedUntil }) => blockedUntil));
  return { because: 'budget', budget: closed[0]!.name, until: until > now ? until : 0 };
}

/** Spends and block as stored, limits as asked: the configuration may have changed. */
function stateOf(budget: Budget, room: Room): BudgetState {
  return { spends: [], blockedUntil: 0, ...room.budgets.get(budget.name), ...budget };
}
