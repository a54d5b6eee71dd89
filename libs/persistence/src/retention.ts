import type { Sql } from './sql.js';
import { SEQUENCE_PER_MS } from './timeline.js';

/** What may be forgotten, oldest first. `$1` is the instant in ms, `$2` the rows at most. */
const FORGETTABLE = [
  {
    table: 'notifications',
    // Attempts and the alerts it tells go with it. While its dead letter, or that of its digest, can be replayed it stays.
    sql: `delete from notifications where id in (
      select id from notifications n where n.finished_at < $1 and not exists (
        select 1 from dead_letters d where d.notification_id in (n.id, n.via) and d.status in ('open', 'replaying'))
      order by n.finished_at limit $2)`,
  },
  {
    table: 'dead_letters',
    sql: `delete from dead_letters where id in (
      select id from dead_letters where status in ('replayed', 'discarded') and resolved_at < $1 order by resolved_at limit $2)`,
  },
  {
    table: 'timeline',
    sql: `delete from timeline where (sequence, writer) in (
      select sequence, writer from timeline where sequence < cast($1 as bigint) * ${SEQUENCE_PER_MS} order by sequence limit $2)`,
  },
  {
    table: 'budgets',
    sql: `delete from budgets where name in (
      select name from budgets where updated_at < $1 and blocked_until < $1 order by updated_at limit $2)`,
  },
  {
    table: 'audit',
    sql: `delete from audit where id in (
      select id from audit a where a.at < $1 and not exists (select 1 from dead_letters d where d.id = a.subject)
      order by a.at limit $2)`,
  },
];

/** Deletes at most `rowsMax` rows and answers how many; call again while it answers as many. */
export async function forgetBefore(sql: Sql, instant: number, rowsMax: number): Promise<number> {
  let forgotten = 0;
  for (const { sql: statement } of FORGETTABLE) {
    if (forgotten === rowsMax) break;
    forgotten += await sql.execute(statement, BigInt(Math.floor(instant)), rowsMax - forgotten);
  }
  return forgotten;
}
