import type { DispatcherStore, OutboxMessage, StoredDispatch } from '#dispatch';
import { commitChanges } from './commit-changes.js';
import type { Database } from './database.js';
import { type AlertRow, alertOf, type GroupRow, groupOf, type LogRow, logEntryOf } from './dispatch-rows.js';
import { forgetBefore } from './retention.js';
import type { Sql } from './sql.js';
import type { TimelineWriter } from './timeline.js';
import { WaitingRoom } from './waiting-room.js';

/** Rows of one page when the state is loaded. */
const PAGE_ROWS = 2_000;

export function createDispatcherStore(database: Database, timeline: TimelineWriter): DispatcherStore {
  const { sql } = database;
  const waitingRoom = new WaitingRoom();
  return {
    takeEpoch: (holder, now) => takeEpoch(sql, holder, now),
    load: () => load(sql),
    commit: (epoch, changes) => database.batch((inside) => commitChanges(inside, timeline, epoch, changes)),
    unpublished: (limit) => unpublished(sql, limit),
    markPublished: (epoch, ids) => database.batch((inside) => markPublished(inside, epoch, ids)),
    waitingTargets: (now, perTargetMax) => database.batch((inside) => waitingRoom.targets(inside, now, perTargetMax)),
    forgetBefore: (instant, rowsMax) => forgetBefore(sql, instant, rowsMax),
  };
}

async function markPublished(sql: Sql, epoch: number, ids: readonly string[]): Promise<'marked' | 'superseded'> {
  const marked = await sql.forRows(
    { id: 'text', epoch: 'int' },
    ids.map((id) => ({ id, epoch })),
    (r) => `delete from outbox where id in (
      select r.id from ${r} join dispatcher_epoch on dispatcher_epoch.epoch = r.epoch) returning id`,
  );
  if (marked.length > 0) return 'marked';
  const current = await sql.query('select epoch from dispatcher_epoch where epoch = $1', epoch);
  return current.length > 0 ? 'marked' : 'superseded';
}

async function takeEpoch(sql: Sql, holder: string, now: number): Promise<number> {
  const [row] = await sql.query<{ epoch: number }>(
    `insert into dispatcher_epoch (id, epoch, holder, taken_at) values (1, 1, $1, $2) on conflict (id) do update
      set epoch = dispatcher_epoch.epoch + 1, holder = excluded.holder, taken_at = excluded.taken_at returning epoch`,
    holder,
    BigInt(now),
  );
  return Number(row!.epoch);
}

/** In pages: nobody else writes these tables after `takeEpoch`. */
async function load(sql: Sql): Promise<StoredDispatch> {
  return {
    alerts: (await allRows<AlertRow>(sql, 'alerts', 'fingerprint')).map(alertOf),
    groups: (await allRows<GroupRow>(sql, 'alert_groups', 'id')).map(groupOf),
    log: (await allRows<LogRow>(sql, 'notification_log', 'id')).map(logEntryOf),
  };
}

async function allRows<Row extends object>(sql: Sql, table: string, key: keyof Row & string): Promise<Row[]> {
  const pages: Row[][] = [];
  let after = '';
  for (;;) {
    const statement = `select * from ${table} where ${key} > $1 order by ${key} limit ${PAGE_ROWS}`;
    const page = await sql.query<Row>(statement, after);
    pages.push(page);
    if (page.length < PAGE_ROWS) return pages.flat();
    after = String(page.at(-1)![key]);
  }
}

async function unpublished(sql: Sql, limit: number): Promise<OutboxMessage[]> {
  const rows = await sql.query<{ id: string; exchange: string; routing_key: string; headers: string; body: string }>(
    'select id, exchange, routing_key, headers, body from outbox order by sequence, id limit $1',
    limit,
  );
  return rows.map(({ id, exchange, routing_key, headers, body }) => ({
    id,
    exchange,
    routingKey: routing_key,
    headers: JSON.parse(headers),
    body: JSON.parse(body),
  }));
}
