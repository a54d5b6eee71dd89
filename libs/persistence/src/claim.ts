import type { ClaimAnswer, ClaimRequest, NotificationStatus, TimelineEntry } from '#dispatch';
import { lockBudgets, writeBudgets } from './budgets.js';
import { type Decision, decideClaim, type KnownAttempt, type KnownNotification, type Room } from './claim-decision.js';
import { notificationRow } from './notification-row.js';
import type { Sql } from './sql.js';
import { ATTEMPTS, NOTIFICATIONS } from './tables.js';
import type { TimelineWriter } from './timeline.js';
import { crowdedTargets, sendsUnderWay } from './waiting-room.js';

export interface TimedRequest {
  request: ClaimRequest;
  now: number;
}

type Claimed = TimedRequest & { decision: Decision };

/** The body of a claim's transaction: locks what the requests touch, decides them in order, writes all decisions. */
export async function claimAll(
  sql: Sql,
  timeline: TimelineWriter,
  requests: readonly TimedRequest[],
): Promise<ClaimAnswer[]> {
  if (requests.length === 0) return [];
  const now = Math.max(...requests.map((timed) => timed.now));
  // Locks in one order everywhere: targets, notifications, budgets.
  const targetKeys = new Set(requests.map(({ request }) => request.envelope.targetKey));
  await sql.lockNames(targetKeys);
  const known = await lockNotifications(sql, requests);
  const room: Room = {
    crowded: await crowdedTargets(sql, targetKeys),
    inFlight: await sendsUnderWay(sql, targetKeys, now),
    budgets: await lockBudgets(
      sql,
      requests.flatMap(({ request }) => request.budgets),
      now,
    ),
  };

  const claimed = requests.map((timed) => ({
    ...timed,
    decision: decide(timed, known, room, sql.dialect.ownedByOneProcess),
  }));
  await writeAttempts(sql, claimed);
  await writeStatuses(sql, claimed);
  const spent = new Set(claimed.filter(isGranted).flatMap(({ request }) => request.budgets.map(({ name }) => name)));
  await writeBudgets(
    sql,
    [...room.budgets.values()].filter(({ name }) => spent.has(name)),
    now,
  );
  await timeline.append(sql, claimed.flatMap(entriesOf));
  return claimed.map(({ decision }) => (decision.claim === 'waiting' ? { claim: 'waiting' } : decision));
}

/** Decides one and notes it, so that a copy of it in the same batch is seen as what it is. */
function decide({ request, now }: TimedRequest, known: Known, room: Room, ownedByOneProcess: boolean): Decision {
  const { envelope, attempt, claimedBy } = request;
  const notification = known.notifications.get(envelope.id) ?? NEW_NOTIFICATION;
  const key = attemptKey(envelope.id, attempt);
  const knownAttempt = known.attempts.get(key) ?? { at: 'absent' };
  const decision = decideClaim(request, now, { ...notification, attempt: knownAttempt }, room, ownedByOneProcess);

  if (decision.claim === 'waiting') known.notifications.set(envelope.id, { ...notification, status: 'waiting' });
  if (decision.claim === 'granted') {
    known.notifications.set(envelope.id, { ...notification, status: 'sending' });
    known.attempts.set(key, { at: 'open', claimedBy, claimedAt: now });
  }
  return decision;
}

const NEW_NOTIFICATION = { status: 'queued', via: undefined, failures: 0, unanswered: false };

interface Known {
  notifications: Map<string, Omit<KnownNotification, 'attempt'>>;
  attempts: Map<string, KnownAttempt>;
}

/** Rows of direct notifications are made here: nobody saw them before. */
async function lockNotifications(sql: Sql, requests: readonly TimedRequest[]): Promise<Known> {
  const envelopes = new Map(requests.map(({ request }) => [request.envelope.id, request.envelope]));
  const notifications = await selectNotifications(sql, [...envelopes.keys()]);
  const unseen = [...envelopes.values()].filter(({ id }) => !notifications.has(id));
  if (unseen.length > 0) {
    await sql.insert(
      NOTIFICATIONS,
      unseen.map((envelope) => notificationRow(envelope)),
      'nothing',
    );
    // Another worker may have been quicker: then its row counts.
    for (const [id, row] of await selectNotifications(
      sql,
      unseen.map(({ id }) => id),
    ))
      notifications.set(id, row);
  }
  return { notifications, attempts: await selectAttempts(sql, requests) };
}

async function selectNotifications(sql: Sql, ids: readonly string[]): Promise<Known['notifications']> {
  const rows = await sql.forIds<NotificationRow>(
    [...ids].sort(),
    (r) =>
      `select id, status, via, failures, unanswered from notifications where id in (select r.id from ${r}) order by id ${sql.dialect.forUpdate}`,
  );
  return new Map(
    rows.map(({ id, status, via, failures, unanswered }) => {
      return [id, { status, via: via ?? undefined, failures: Number(failures), unanswered: Boolean(unanswered) }];
    }),
  );
}

interface NotificationRow {
  id: string;
  status: string;
  via: string | null;
  failures: number | bigint;
  unanswered: boolean | bigint;
}

async function selectAttempts(sql: Sql, requests: readonly TimedRequest[]): Promise<Known['attempts']> {
  const asked = requests.map(({ request }) => ({ id: request.envelope.id, attempt: request.attempt }));
  const rows = await sql.forRows<AttemptRow>(
    { id: 'text', attempt: 'int' },
    asked,
    (r) => `select a.notification_id, a.number, a.claimed_by, a.claimed_at, a.follow_up
      from ${r} join attempts a on a.notification_id = r.id and a.number = r.attempt`,
  );
  return new Map(rows.map((row) => [attemptKey(row.notification_id, Number(row.number)), knownAttempt(row)]));
}

interface AttemptRow {
  notification_id: string;
  number: number;
  claimed_by: string;
  claimed_at: bigint;
  follow_up: string | null;
}

function knownAttempt({ claimed_by, claimed_at, follow_up }: AttemptRow): KnownAttempt {
  if (follow_up !== null) return { at: 'settled', followUp: JSON.parse(follow_up) };
  return { at: 'open', claimedBy: claimed_by, claimedAt: Number(claimed_at) };
}

function attemptKey(id: string, attempt: number): string {
  return `${id}/${attempt}`;
}

function isGranted({ decision }: Claimed): boolean {
  return decision.claim === 'granted';
}

async function writeAttempts(sql: Sql, claimed: readonly Claimed[]): Promise<void> {
  const rows = claimed.flatMap(({ request, now, decision }) => {
    if (decision.claim !== 'granted') return [];
    const { envelope, attempt, claimedBy } = request;
    const { targetKey } = envelope;
    const { mayRepeat } = decision;
    const row = { notification_id: envelope.id, number: attempt, target_key: targetKey, claimed_by: claimedBy };
    return [{ ...row, claimed_at: now, may_repeat: mayRepeat }];
  });
  await sql.insert(ATTEMPTS, rows, 'update');
}

/** `waiting_since` stays while it waits again, and goes once it is sent. */
async function writeStatuses(sql: Sql, claimed: readonly Claimed[]): Promise<void> {
  const rows = new Map(
    claimed.flatMap(({ request, now, decision }) => {
      const isHeld = decision.claim === 'waiting' && decision.hold !== undefined;
      if (decision.claim !== 'granted' && !isHeld) return [];
      const status: NotificationStatus = isHeld ? 'waiting' : 'sending';
      const until = isHeld && decision.hold?.because === 'budget' ? decision.hold.until : 0;
      const { id } = request.envelope;
      return [[id, { id, status, at: now, until, attempt: request.attempt, budgets: JSON.stringify(request.budgets) }]];
    }),
  );
  await sql.forRows(
    { id: 'text', status: 'text', at: 'bigint', until: 'bigint', attempt: 'int', budgets: 'text' },
    [...rows.values()],
    (r) => `update notifications set status = r.status, reason = null, next_attempt = r.attempt, budgets = r.budgets,
      waiting_since = case when r.status = 'waiting' then coalesce(notifications.waiting_since, r.at) end,
      waiting_until = r.until from ${r} where notifications.id = r.id returning notifications.id`,
  );
}

function entriesOf({ request, now, decision }: Claimed): TimelineEntry[] {
  const { envelope, attempt } = request;
  const entry = { at: now, notificationId: envelope.id };
  if (decision.claim === 'waiting' && decision.hold !== undefined) {
    return [{ ...entry, kind: 'waiting', detail: { attempt, ...decision.hold } }];
  }
  if (decision.claim === 'granted' && decision.mayRepeat) {
    return [{ ...entry, kind: 'attempted', detail: { attempt, mayRepeat: true } }];
  }
  return [];
}
