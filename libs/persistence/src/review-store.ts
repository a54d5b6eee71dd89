import type { Alert, NotificationStatus, NotificationView, ReviewStore, TimelineEntry } from '#dispatch';
import { storableText } from './batch-json.js';
import type { Database } from './database.js';
import { DeadLetters } from './dead-letters.js';
import { type AlertRow, alertOf } from './dispatch-rows.js';
import type { PrismaSql } from './prisma-sql.js';
import type { Sql } from './sql.js';
import type { TimelineWriter } from './timeline.js';

export function createReviewStore(database: Database, timeline: TimelineWriter): ReviewStore {
  const { sql } = database;
  const letters = new DeadLetters(database, timeline);
  return {
    findNotification: (id) => findNotification(sql, id),
    alertTimeline: (fingerprint, limit) => alertTimeline(sql, fingerprint, limit),
    alerts: (limit) => alerts(sql, limit),
    addDeadLetters: (newLetters) => letters.add(newLetters),
    deadLetters: (query) => letters.list(query),
    findDeadLetter: (id) => letters.find(id),
    beginReplay: (id, by, now) => letters.beginReplay(id, by, now),
    endReplay: (id, result, now) => letters.endReplay(id, result, now),
    unfinishedReplays: (limit) => letters.unfinishedReplays(limit),
    discard: (id, by, now) => letters.discard(id, by, now),
  };
}

async function findNotification({ models }: PrismaSql, id: string): Promise<NotificationView | undefined> {
  const row = await models.notification.findUnique({
    where: { id: storableText(id) },
    include: { attempts: { orderBy: { number: 'asc' } } },
  });
  if (row === null) return undefined;
  return {
    id: row.id,
    channel: row.channel,
    status: row.status as NotificationStatus,
    reason: row.reason ?? undefined,
    via: row.via ?? undefined,
    receiver: row.receiver ?? undefined,
    groupKey: row.groupKey ?? undefined,
    createdAt: Number(row.createdAt),
    attempts: row.attempts.map((attempt) => ({
      number: attempt.number,
      at: Number(attempt.claimedAt),
      outcome: attempt.outcome ?? undefined,
      reason: attempt.reason ?? undefined,
      providerCode: attempt.providerCode ?? undefined,
      providerMessage: attempt.providerMessage ?? undefined,
      durationMs: attempt.durationMs ?? undefined,
      mayRepeat: attempt.mayRepeat,
    })),
  };
}

/** Its own entries and those of the notifications that tell it: the newest `limit`, in order. */
async function alertTimeline(sql: Sql, fingerprint: string, limit: number): Promise<TimelineEntry[]> {
  const rows = await sql.query<TimelineRow>(
    // Two halves, each by its index: one condition with `or` may be read as a walk through the whole timeline, and a plain
    // `is null` in the second as one through all entries without a fingerprint.
    `select at, fingerprint, notification_id, kind, detail from (
      select * from (select * from timeline where fingerprint = $1 order by sequence desc limit $2) as own
      union all
      select * from (
        select t.* from notification_alerts a join timeline t on t.notification_id = a.notification_id
          where a.fingerprint = $1 and coalesce(t.fingerprint, '') = '' order by t.sequence desc limit $2) as told
      ) as entries order by sequence desc, writer desc limit $2`,
    storableText(fingerprint),
    limit,
  );
  return rows.reverse().map((row) => ({
    at: Number(row.at),
    fingerprint: row.fingerprint ?? undefined,
    notificationId: row.notification_id ?? undefined,
    kind: row.kind,
    detail: JSON.parse(row.detail),
  }));
}

interface TimelineRow {
  at: bigint;
  fingerprint: string | null;
  notification_id: string | null;
  kind: string;
  detail: string;
}

/** As `hasEnded` says: the stored end of an alert that is refreshed lies in the past, for refreshes are not stored. */
async function alerts(sql: Sql, limit: number): Promise<Alert[]> {
  const rows = await sql.query<AlertRow>(
    'select * from alerts where ends_at > updated_at order by fingerprint limit $1',
    limit,
  );
  return rows.map(alertOf);
}
