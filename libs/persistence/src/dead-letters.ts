import type {
  DeadLetter,
  DeadLetterQuery,
  DeadLetterStatus,
  DeadReason,
  NewDeadLetter,
  NotificationChannel,
} from '#dispatch';
import { storableText } from './batch-json.js';
import type { Database } from './database.js';
import type { DeadLetterRow } from './generated/sqlite/client.js';
import type { PrismaSql } from './prisma-sql.js';
import { shownTarget } from './shown-target.js';
import type { Sql } from './sql.js';
import { DEAD_LETTERS } from './tables.js';
import type { TimelineWriter } from './timeline.js';

/** Letters read at once for one page, and letters looked at for it before the page is given with what was found. */
const SCAN_ROWS = 100;
const SCAN_ROWS_MAX = 2_000;

/** The letters and the statuses of their notifications; replay and discard are audited. */
export class DeadLetters {
  constructor(
    private readonly database: Database,
    private readonly timeline: TimelineWriter,
  ) {}

  /**
   * A letter that is there already stays as it is, and so does its notification: it may have been replayed since. A notification that fails again has
   * another attempt, and so another letter; a raw body has its one letter, which is opened again.
   */
  async add(letters: readonly NewDeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    await this.database.transaction(async (sql) => {
      const created = await sql.insertNew(DEAD_LETTERS, letters.map(letterRow));
      await openAgain(
        sql,
        letters.filter(({ id, notificationId }) => notificationId === undefined && !created.has(id)),
      );
      const fresh = letters.filter(({ id, notificationId }) => created.has(id) && notificationId !== undefined);
      const rows = fresh.map(({ notificationId, reason, failedAt }) => ({
        id: notificationId,
        reason,
        at: Math.round(failedAt),
      }));
      await sql.forRows(
        { id: 'text', reason: 'text', at: 'bigint' },
        rows,
        (r) => `update notifications set status = 'dead', reason = r.reason, finished_at = r.at
          from ${r} where notifications.id = r.id and notifications.status not in ('sent', 'dead') returning notifications.id`,
      );
    });
  }

  /** Newest first. With `q`, a page may hold fewer than `limit` (even none) and still have a next one: the search goes on there. */
  async list(query: DeadLetterQuery): Promise<{ items: DeadLetter[]; nextCursor: string | undefined }> {
    const items: DeadLetter[] = [];
    let after = query.cursor === undefined ? undefined : readCursor(query.cursor);
    for (let scanned = 0; scanned < SCAN_ROWS_MAX; scanned += SCAN_ROWS) {
      const rows = await this.page(query, after);
      for (const row of rows) {
        if (items.length === query.limit) return { items, nextCursor: writeCursor(after!) };
        after = { failedAt: row.failedAt, id: row.id };
        if (matches(row, query.q)) items.push(letterOf(row));
      }
      if (rows.length < SCAN_ROWS) return { items, nextCursor: undefined };
    }
    return { items, nextCursor: writeCursor(after!) };
  }

  private page(
    { status = 'open', channel, reason }: DeadLetterQuery,
    after: Position | undefined,
  ): Promise<DeadLetterRow[]> {
    const behind = after && {
      OR: [{ failedAt: { lt: after.failedAt } }, { failedAt: after.failedAt, id: { lt: after.id } }],
    };
    return this.database.sql.models.deadLetterRow.findMany({
      where: { status, channel: channel && storableText(channel), reason: reason && storableText(reason), ...behind },
      orderBy: [{ failedAt: 'desc' }, { id: 'desc' }],
      take: SCAN_ROWS,
    });
  }

  async find(id: string): Promise<DeadLetter | undefined> {
    const row = await this.database.sql.models.deadLetterRow.findUnique({ where: { id: storableText(id) } });
    return row === null ? undefined : letterOf(row);
  }

  beginReplay(id: string, by: string, now: number): Promise<Replay | undefined> {
    return this.database.transaction(async (sql) => {
      const taken = await take(sql, id, 'open', { status: 'replaying' });
      if (taken === undefined) return undefined;

      const attempt = 1 + Math.max(taken.attempts, await lastAttempt(sql, taken.notificationId));
      await sql.models.deadLetterRow.update({ where: { id: taken.id }, data: { replayAttempt: attempt } });
      if (taken.notificationId !== null) {
        await sql.models.notification.updateMany({
          where: { id: taken.notificationId, status: { not: 'sent' } },
          data: { status: 'retrying', finishedAt: null, nextAttempt: attempt, failures: 0 },
        });
      }
      await this.audit(sql, taken, 'replay', by, now, { attempt });
      return { letter: letterOf(taken), attempt };
    });
  }

  /** The status moves only while nobody has claimed the attempt: from then on it tells how that goes. */
  async endReplay(id: string, result: 'replayed' | 'open', now: number): Promise<void> {
    await this.database.transaction(async (sql) => {
      const resolvedAt = result === 'replayed' ? BigInt(now) : null;
      const ended = await take(sql, id, 'replaying', { status: result, resolvedAt });
      if (ended === undefined || ended.notificationId === null) return;
      const { notificationId, replayAttempt, reason } = ended;
      await sql.models.notification.updateMany({
        where: { id: notificationId, status: 'retrying', attempts: { none: { number: { gte: replayAttempt ?? 0 } } } },
        data: result === 'replayed' ? { status: 'queued' } : { status: 'dead', reason, finishedAt: BigInt(now) },
      });
    });
  }

  async unfinishedReplays(limit: number): Promise<Replay[]> {
    const rows = await this.database.sql.models.deadLetterRow.findMany({
      where: { status: 'replaying' },
      orderBy: [{ failedAt: 'asc' }, { id: 'asc' }],
      take: limit,
    });
    return rows.map((row) => ({ letter: letterOf(row), attempt: row.replayAttempt ?? row.attempts + 1 }));
  }

  discard(id: string, by: string, now: number): Promise<boolean> {
    return this.database.transaction(async (sql) => {
      const taken = await take(sql, id, 'open', { status: 'discarded', resolvedAt: BigInt(now) });
      if (taken === undefined) return false;
      await this.audit(sql, taken, 'discard', by, now, {});
      return true;
    });
  }

  private async audit(
    sql: PrismaSql,
    letter: DeadLetterRow,
    action: 'replay' | 'discard',
    by: string,
    now: number,
    detail: Record<string, unknown>,
  ): Promise<void> {
    const data = { at: BigInt(now), by: storableText(by), action, subject: letter.id, detail: JSON.stringify(detail) };
    await sql.models.auditRow.create({ data });
    const notificationId = letter.notificationId ?? undefined;
    const kind = action === 'replay' ? 'replayed' : 'discarded';
    await this.timeline.append(sql, [
      { at: now, notificationId, kind, detail: { by, deadLetter: letter.id, ...detail } },
    ]);
  }
}

interface Replay {
  letter: DeadLetter;
  attempt: number;
}

/** Moves a letter out of `from`; of two at once one gets it, the other `undefined`. */
async function take(
  { models }: PrismaSql,
  id: string,
  from: DeadLetterStatus,
  data: { status: DeadLetterStatus; resolvedAt?: bigint | null },
): Promise<DeadLetterRow | undefined> {
  const where = { id: storableText(id), status: from };
  const { count } = await models.deadLetterRow.updateMany({ where, data });
  return count === 0 ? undefined : models.deadLetterRow.findUniqueOrThrow({ where: { id: where.id } });
}

async function lastAttempt({ models }: PrismaSql, notificationId: string | null): Promise<number> {
  if (notificationId === null) return 0;
  const { _max } = await models.attempt.aggregate({ where: { notificationId }, _max: { number: true } });
  return _max.number ?? 0;
}

/**
 * A copy of the failure that was reviewed has its `failedAt`; a later one is another failure. While it is replayed too: then the replay, or another like
 * it, has failed before its end was noted.
 */
async function openAgain(sql: Sql, letters: readonly NewDeadLetter[]): Promise<void> {
  const latest = new Map<string, NewDeadLetter>();
  for (const letter of letters) {
    if (letter.failedAt > (latest.get(letter.id)?.failedAt ?? 0)) latest.set(letter.id, letter);
  }
  await sql.forRows(
    DEAD_LETTERS.columns,
    [...latest.values()].map(letterRow),
    (r) => `update dead_letters set status = r.status, failed_at = r.failed_at, reason = r.reason, detail = r.detail,
      attempts = r.attempts, replay_attempt = null, resolved_at = null
      from ${r} where dead_letters.id = r.id and dead_letters.status <> 'open' and dead_letters.failed_at < r.failed_at
      returning dead_letters.id`,
  );
}

function letterRow(letter: NewDeadLetter) {
  return {
    id: letter.id,
    notification_id: letter.notificationId,
    channel: letter.channel,
    target_key: letter.targetKey,
    reason: letter.reason,
    attempts: letter.attempts,
    failed_at: Math.round(letter.failedAt),
    payload: letter.payload,
    detail: letter.detail,
    status: 'open' satisfies DeadLetterStatus,
  };
}

function letterOf(row: DeadLetterRow): DeadLetter {
  return {
    id: row.id,
    notificationId: row.notificationId ?? undefined,
    channel: (row.channel as NotificationChannel | null) ?? undefined,
    targetKey: row.targetKey ?? undefined,
    reason: row.reason as DeadReason,
    attempts: row.attempts,
    failedAt: Number(row.failedAt),
    payload: row.payload,
    detail: row.detail,
    status: row.status as DeadLetterStatus,
    target: shownTarget(row.payload),
    resolvedAt: row.resolvedAt === null ? undefined : Number(row.resolvedAt),
  };
}

function matches({ targetKey, detail, payload }: DeadLetterRow, q: string | undefined): boolean {
  if (q === undefined || q === '') return true;
  const wanted = q.toLowerCase();
  return [targetKey ?? '', detail, payload].some((text) => text.toLowerCase().includes(wanted));
}

/** The last letter looked at. */
interface Position {
  failedAt: bigint;
  id: string;
}

function writeCursor({ failedAt, id }: Position): string {
  return Buffer.from(`${failedAt} ${id}`).toString('base64url');
}

function readCursor(cursor: string): Position {
  const [, failedAt, id] = /^(\d{1,18}) (.+)$/s.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (failedAt === undefined || id === undefined) throw new RangeError('the cursor is not one that a page answered');
  return { failedAt: BigInt(failedAt), id: storableText(id) };
}
