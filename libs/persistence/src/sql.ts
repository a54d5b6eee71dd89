import type { Columns, Dialect, SqlParameter } from './dialect.js';
import type { Table } from './tables.js';

/** Runs our own SQL, inside a transaction or outside. Statements are written with PostgreSQL's `$1`. */
export abstract class Sql {
  constructor(readonly dialect: Dialect) {}

  abstract query<Row>(sql: string, ...parameters: SqlParameter[]): Promise<Row[]>;

  /** Answers how many rows it changed. */
  abstract execute(sql: string, ...parameters: SqlParameter[]): Promise<number>;

  /** Inserts all rows. A row that exists is overwritten (`update`) or left alone (`nothing`). */
  abstract insert(table: Table, rows: readonly object[], onConflict: 'update' | 'nothing'): Promise<void>;

  /** As `insert` with `nothing`; answers the `id` of the rows that are new. */
  abstract insertNew(table: Table, rows: readonly object[]): Promise<Set<string>>;

  /**
   * Runs `sql(r)` for all rows, `r` being a table expression of that name with these columns. Rows come many to a statement or one by one: the answer must
   * be the same, so a statement compares no row with another.
   */
  abstract forRows<Row>(columns: Columns, rows: readonly object[], sql: (r: string) => string): Promise<Row[]>;

  /** Until the transaction ends no other process holds the same names. */
  abstract lockNames(names: Iterable<string>): Promise<void>;

  /** `forRows` for a list of keys: the column is named `id`. */
  forIds<Row>(ids: Iterable<string>, sql: (r: string) => string): Promise<Row[]> {
    const rows = [...new Set(ids)].map((id) => ({ id }));
    return this.forRows<Row>({ id: 'text' }, rows, sql);
  }
}

/** What follows the rows of an insert. */
export function onConflictClause({ key, columns }: Table, onConflict: 'update' | 'nothing'): string {
  const overwritten = Object.keys(columns).filter((field) => !key.includes(field));
  const action =
    onConflict === 'update'
      ? `update set ${overwritten.map((field) => `${field} = excluded.${field}`).join(', ')}`
      : 'nothing';
  return `on conflict (${key.join(', ')}) do ${action}`;
}
