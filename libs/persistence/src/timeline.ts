import { randomInt } from 'node:crypto';
import type { TimelineEntry } from '#dispatch';
import type { Sql } from './sql.js';
import { TIMELINE } from './tables.js';

/** Numbers entries in the order of writing: milliseconds * 1000 + a count, so that numbers of a later start are larger. */
export const SEQUENCE_PER_MS = 1_000;
const WRITERS = 2 ** 47;

/** Appends to the timeline. One per process: two processes may use the same number, never the same writer. */
export class TimelineWriter {
  private readonly writer = randomInt(WRITERS);
  private last = 0;

  append(sql: Sql, entries: readonly TimelineEntry[]): Promise<void> {
    const rows = entries.map((entry) => ({
      sequence: this.next(),
      writer: this.writer,
      at: entry.at,
      fingerprint: entry.fingerprint,
      notification_id: entry.notificationId,
      kind: entry.kind,
      detail: JSON.stringify(entry.detail),
    }));
    return sql.insert(TIMELINE, rows, 'nothing');
  }

  private next(): number {
    this.last = Math.max(this.last + 1, Date.now() * SEQUENCE_PER_MS);
    return this.last;
  }
}
