import type { DispatchChanges, NewNotification, OutboxMessage, TimelineEntry } from '#dispatch';
import { alertRow, groupRow, logRow, rowId } from './dispatch-rows.js';
import { notificationRow } from './notification-row.js';
import type { Sql } from './sql.js';
import { ALERT_GROUPS, ALERTS, NOTIFICATION_ALERTS, NOTIFICATION_LOG, NOTIFICATIONS, OUTBOX } from './tables.js';
import { SEQUENCE_PER_MS, type TimelineWriter } from './timeline.js';

/** The body of the dispatcher's one transaction. */
export async function commitChanges(
  sql: Sql,
  timeline: TimelineWriter,
  epoch: number,
  changes: DispatchChanges,
): Promise<{ due: OutboxMessage[] } | 'superseded'> {
  // First, and locked: an epoch taken later waits for this transaction, one taken earlier is seen here.
  const current = `select epoch from dispatcher_epoch where id = 1 and epoch = $1 ${sql.dialect.forUpdate}`;
  if ((await sql.query(current, epoch)).length === 0) return 'superseded';

  await writeState(sql, changes);
  const { isDue, isTrue } = await writeNotifications(sql, changes);
  await timeline.append(sql, changes.timeline.filter(isTrue));
  // A notification let go again may have the id of the row that told it to wait.
  await forget(sql, 'outbox', 'id', changes.published);
  const due = changes.outbox.filter(isDue);
  await writeOutbox(sql, due);
  return { due };
}

async function writeState(sql: Sql, changes: DispatchChanges): Promise<void> {
  await sql.insert(ALERTS, changes.alerts.map(alertRow), 'update');
  await sql.insert(ALERT_GROUPS, changes.groups.map(groupRow), 'update');
  await sql.insert(NOTIFICATION_LOG, changes.log.map(logRow), 'update');
  await forget(sql, 'alerts', 'fingerprint', changes.alertsForgotten);
  await forget(sql, 'alert_groups', 'id', changes.groupsForgotten.map(rowId));
  await forget(sql, 'notification_log', 'id', changes.logForgotten.map(rowId));
}

function forget(sql: Sql, table: string, key: string, ids: string[]): Promise<unknown> {
  return sql.forIds(ids, (r) => `delete from ${table} where ${key} in (select r.id from ${r}) returning ${key}`);
}

interface Written {
  isDue(message: OutboxMessage): boolean;
  isTrue(entry: TimelineEntry): boolean;
}

/**
 * Answers which outbox rows are due, and which timeline entries came true. A flush computed again names a notification that exists, and has been or will
 * be published by its first row; a release or a digest may name one that a worker took meanwhile. Neither gets a second message.
 */
async function writeNotifications(sql: Sql, changes: DispatchChanges): Promise<Written> {
  await lockNotifications(sql, [...changes.released, ...changes.digested.map(({ id }) => id)]);
  const torn = await tornDigests(sql, changes.digested);
  const digested = changes.digested.filter(({ digestId }) => !torn.has(digestId));
  const created = await createNotifications(
    sql,
    changes.notifications.filter(({ envelope }) => !torn.has(envelope.id)),
  );
  const released = await release(sql, changes.released);
  await digest(sql, digested);

  const named = new Set([...changes.notifications.map(({ envelope }) => envelope.id), ...changes.released]);
  const members = new Set(digested.map(({ id }) => id));
  return {
    isDue: ({ id }) => {
      const notificationId = id.slice(0, id.lastIndexOf('/'));
      return !named.has(notificationId) || created.has(notificationId) || released.has(notificationId);
    },
    isTrue: ({ kind, notificationId = '' }) => {
      if (kind === 'released') return released.has(notificationId);
      return kind !== 'digested' || members.has(notificationId);
    },
  };
}

/**
 * Digests with a member that no longer waits: it would be told twice. The whole digest is dropped, for its text names them all; those who still wait
 * are looked at again.
 */
async function tornDigests(sql: Sql, digested: DispatchChanges['digested']): Promise<Set<string>> {
  const torn = await sql.forRows<{ digest_id: string }>(
    { id: 'text', digest_id: 'text' },
    digested.map(({ id, digestId }) => ({ id, digest_id: digestId })),
    (r) => `select distinct r.digest_id from ${r} where not exists (
      select 1 from notifications where notifications.id = r.id and ${STILL_WAITS})`,
  );
  return new Set(torn.map(({ digest_id }) => digest_id));
}

/** In one order everywhere, so that a dispatcher and a worker never wait for each other in a circle. */
export async function lockNotifications(sql: Sql, ids: readonly string[]): Promise<void> {
  const { forUpdate } = sql.dialect;
  if (forUpdate === '') return;
  const sorted = [...ids].sort();
  await sql.forIds(sorted, (r) => {
    return `select id from notifications where id in (select r.id from ${r}) order by id ${forUpdate}`;
  });
}

async function createNotifications(sql: Sql, notifications: readonly NewNotification[]): Promise<Set<string>> {
  const created = await sql.insertNew(
    NOTIFICATIONS,
    notifications.map(({ envelope, receiver, groupKey }) => notificationRow(envelope, { receiver, groupKey })),
  );
  const alerts = notifications
    .filter(({ envelope }) => created.has(envelope.id))
    .flatMap(({ envelope, fingerprints }) => {
      return fingerprints.map((fingerprint) => ({ notification_id: envelope.id, fingerprint }));
    });
  await sql.insert(NOTIFICATION_ALERTS, alerts, 'nothing');
  return created;
}

/** One expression, so that SQLite looks up the few by id; with two plain conditions it walks through all who wait. */
const STILL_WAITS = "case when notifications.via is null then notifications.status end = 'waiting'";

/** `waiting_since` stays: whoever has to wait again keeps its place. */
async function release(sql: Sql, ids: readonly string[]): Promise<Set<string>> {
  const released = await sql.forIds<{ id: string }>(
    ids,
    (r) => `update notifications set status = 'queued', waiting_until = 0 from ${r} where notifications.id = r.id
      and ${STILL_WAITS} returning notifications.id`,
  );
  return new Set(released.map(({ id }) => id));
}

async function digest(sql: Sql, digested: DispatchChanges['digested']): Promise<void> {
  const rows = digested.map(({ id, digestId }) => ({ id, digest_id: digestId }));
  await sql.forRows(
    { id: 'text', digest_id: 'text' },
    rows,
    (r) => `update notifications set via = r.digest_id from ${r}
      where notifications.id = r.id and ${STILL_WAITS} returning notifications.id`,
  );
  // Somebody may have been told what the digest tells: then it may repeat that.
  await sql.forIds(
    digested.map(({ digestId }) => digestId),
    (r) => `update notifications set unanswered = true where id in (select r.id from ${r}) and exists (
      select 1 from notifications member where member.via = notifications.id and (member.unanswered or exists (
        select 1 from attempts where notification_id = member.id and outcome is null))) returning id`,
  );
}

async function writeOutbox(sql: Sql, outbox: readonly OutboxMessage[]): Promise<void> {
  const first = Date.now() * SEQUENCE_PER_MS;
  const rows = outbox.map(({ id, exchange, routingKey, headers, body }, index) => ({
    id,
    exchange,
    routing_key: routingKey,
    headers: JSON.stringify(headers),
    // As a JSON string: a body may hold characters that PostgreSQL's text refuses.
    body: JSON.stringify(body),
    sequence: first + index,
  }));
  await sql.insert(OUTBOX, rows, 'nothing');
}
