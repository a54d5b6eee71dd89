import { isFailure, type NotificationStatus, type Settlement, type TimelineEntry } from '#dispatch';
import { blockBudgets } from './budgets.js';
import { isFinal } from './notification-row.js';
import type { Sql } from './sql.js';
import type { TimelineWriter } from './timeline.js';

/** The body of a settlement's transaction. Settling an attempt again changes nothing, except that an acceptance is never overruled. */
export async function settleAll(sql: Sql, timeline: TimelineWriter, settlements: readonly Settlement[]): Promise<void> {
  if (settlements.length === 0) return;
  await lockWithMembers(sql, settlements);
  const settled = await writeOutcomes(sql, settlements);
  await writeStatuses(sql, settled);
  await settleMembers(sql, timeline, settled);
  await timeline.append(sql, settled.map(entryOf));

  const blocks = settlements.flatMap((settlement) => settlement.blocks ?? []);
  const now = Math.max(...settlements.map(({ at }) => at));
  await blockBudgets(
    sql,
    blocks.map(({ budget, until }) => ({ budget, until: Math.ceil(until) })),
    Math.round(now),
  );
}

/** The notifications and, of digests, those they cover: in the one order everywhere. */
async function lockWithMembers(sql: Sql, settlements: readonly Settlement[]): Promise<void> {
  const { forUpdate } = sql.dialect;
  if (forUpdate === '') return;
  const ids = settlements.map(({ id }) => id).sort();
  await sql.forIds(ids, (r) => {
    return `with r as (select id from ${r}) select id from notifications
      where id in (select id from r) or via in (select id from r) order by id ${forUpdate}`;
  });
}

/** Answers the settlements that counted. */
async function writeOutcomes(sql: Sql, settlements: readonly Settlement[]): Promise<Settlement[]> {
  const first = new Map<string, Settlement>();
  for (const settlement of settlements) {
    const key = `${settlement.id}/${settlement.attempt}`;
    if (!first.has(key) || isAccepted(settlement)) first.set(key, settlement);
  }
  const rows = await sql.forRows<{ notification_id: string; number: number }>(
    OUTCOME_COLUMNS,
    [...first.values()].map(outcomeRow),
    (
      r,
    ) => `update attempts set ended_at = r.ended_at, duration_ms = r.duration_ms, outcome = r.outcome, reason = r.reason,
      provider_code = r.provider_code, provider_message = r.provider_message, follow_up = r.follow_up
      from ${r} where attempts.notification_id = r.id and attempts.number = r.attempt
        and (attempts.outcome is null or (attempts.outcome <> 'accepted' and r.outcome = 'accepted'))
      returning attempts.notification_id, attempts.number`,
  );
  return rows.map((row) => first.get(`${row.notification_id}/${Number(row.number)}`)!);
}

const OUTCOME_COLUMNS = {
  id: 'text',
  attempt: 'int',
  ended_at: 'bigint',
  duration_ms: 'int',
  outcome: 'text',
  reason: 'text',
  provider_code: 'text',
  provider_message: 'text',
  follow_up: 'text',
} as const;

function outcomeRow(settlement: Settlement) {
  const { id, attempt, at, durationMs, outcome, followUp } = settlement;
  return {
    id,
    attempt,
    ended_at: Math.round(at),
    duration_ms: Math.round(durationMs),
    ...toldOf(settlement),
    provider_code: outcome.providerCode,
    provider_message: outcome.providerMessage,
    follow_up: JSON.stringify(followUp),
  };
}

/** A notification that was sent stays sent, whatever a slower copy comes to. */
async function writeStatuses(sql: Sql, settlements: readonly Settlement[]): Promise<void> {
  const deciding = new Map<string, Settlement>();
  const failures = new Map<string, number>();
  const unanswered = new Set<string>();
  for (const settlement of settlements) {
    const { id, outcome } = settlement;
    if (isFailure(outcome)) failures.set(id, 1 + (failures.get(id) ?? 0));
    if (outcome.outcome === 'unknown') unanswered.add(id);
    const other = deciding.get(id);
    const isLater = other === undefined || settlement.attempt > other.attempt;
    if (isAccepted(settlement) || (isLater && !(other && isAccepted(other)))) deciding.set(id, settlement);
  }
  await sql.forRows(
    {
      id: 'text',
      status: 'text',
      reason: 'text',
      at: 'bigint',
      finished_at: 'bigint',
      until: 'bigint',
      attempt: 'int',
      failures: 'int',
      unanswered: 'boolean',
    },
    [...deciding.values()].map((settlement) => {
      const { id } = settlement;
      return { ...statusRow(settlement), failures: failures.get(id) ?? 0, unanswered: unanswered.has(id) };
    }),
    (r) => `update notifications set status = r.status, reason = r.reason, finished_at = r.finished_at,
      waiting_since = case when r.status = 'waiting' then coalesce(notifications.waiting_since, r.at) end,
      waiting_until = r.until, next_attempt = r.attempt, failures = notifications.failures + r.failures,
      unanswered = (notifications.unanswered or r.unanswered)
      from ${r} where notifications.id = r.id and notifications.status <> 'sent' returning notifications.id`,
  );
}

function statusRow(settlement: Settlement) {
  const { id, attempt, at, followUp } = settlement;
  const status = statusAfter(settlement);
  return {
    id,
    status,
    reason: status === 'sent' ? undefined : reasonAfter(settlement),
    at: Math.round(at),
    finished_at: isFinal(status) ? Math.round(at) : undefined,
    until: followUp.next === 'wait' ? Math.ceil(followUp.until) : 0,
    attempt: 'attempt' in followUp ? followUp.attempt : attempt,
  };
}

/** Nothing follows an attempt that was not accepted: it was not due any more (resolved, silenced, expired). */
export function statusAfter({ outcome, followUp }: Settlement): NotificationStatus {
  switch (followUp.next) {
    case 'none':
      return outcome.outcome === 'accepted' ? 'sent' : 'suppressed';
    case 'retry':
      return 'retrying';
    case 'wait':
      return 'waiting';
    case 'dead':
      return 'dead';
    default:
      return followUp satisfies never;
  }
}

function reasonAfter(settlement: Settlement): string | undefined {
  const { followUp } = settlement;
  return followUp.next === 'dead' ? followUp.reason : toldOf(settlement).reason;
}

/** What is recorded of an attempt: nobody refused what was suppressed. */
function toldOf({ outcome, suppressed }: Settlement): { outcome: string; reason: string | undefined } {
  if (suppressed !== undefined) return { outcome: 'suppressed', reason: suppressed };
  if ('reason' in outcome) return { outcome: outcome.outcome, reason: outcome.reason };
  return { outcome: outcome.outcome, reason: outcome.outcome === 'rate-limited' ? 'rate-limited' : undefined };
}

/**
 * What a digest tells is told when it is told. Its death is theirs, with reason `digest-dead`; a replay that is then sent
 * makes them sent after all.
 */
async function settleMembers(sql: Sql, timeline: TimelineWriter, settled: readonly Settlement[]): Promise<void> {
  const digests = new Map(settled.map((settlement) => [settlement.id, statusRow(settlement)]));
  // Found by `via` alone: most notifications cover nobody, and only that index is narrow.
  const covered = await sql.forIds<MemberRow>(
    digests.keys(),
    (r) => `select id, via, status, reason from notifications where via in (select r.id from ${r})`,
  );
  const members = covered.flatMap((member) => {
    const { status, reason, finished_at, at } = digests.get(member.via)!;
    if (!isFinal(status) || !isTold(member, status)) return [];
    return [
      { id: member.id, via: member.via, at, status, reason: status === 'dead' ? 'digest-dead' : reason, finished_at },
    ];
  });
  await sql.forRows(
    { id: 'text', status: 'text', reason: 'text', finished_at: 'bigint' },
    members,
    (r) => `update notifications set status = r.status, reason = r.reason, finished_at = r.finished_at
      from ${r} where notifications.id = r.id returning notifications.id`,
  );
  await timeline.append(
    sql,
    members.map(({ id, via, at, status }) => ({ at, notificationId: id, kind: status, detail: { via } })),
  );
}

interface MemberRow {
  id: string;
  via: string;
  status: string;
  reason: string | null;
}

function isTold(member: MemberRow, digestStatus: NotificationStatus): boolean {
  if (member.status === 'waiting') return true;
  return member.status === 'dead' && member.reason === 'digest-dead' && digestStatus === 'sent';
}

function entryOf(settlement: Settlement): TimelineEntry {
  const { id, attempt, at, durationMs, outcome, followUp } = settlement;
  return {
    at: Math.round(at),
    notificationId: id,
    kind: statusAfter(settlement),
    detail: { attempt, durationMs: Math.round(durationMs), ...outcome, ...toldOf(settlement), followUp },
  };
}

function isAccepted({ outcome }: Settlement): boolean {
  return outcome.outcome === 'accepted';
}
