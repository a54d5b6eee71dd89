import { PrismaClientKnownRequestError } from '@prisma/client/runtime/client';
import { jsonBatches, storableJson } from './batch-json.js';
import type { Columns, Dialect, SqlParameter } from './dialect.js';
import type { Prisma, PrismaClient } from './generated/sqlite/client.js';
import type { Table } from './tables.js';

/** A transaction waits for those before it, and never longer than this for its turn. */
const TURN_MS_MAX = 30_000;
const TRANSACTION_MS_MAX = 60_000;
/** PostgreSQL ends one of two transactions that wait for each other; it is run again. */
const TRIES_MAX = 5;

/** Runs our own SQL, inside a transaction or outside. */
export class Sql {
  constructor(
    /** The tables through Prisma, in the same transaction. */
    readonly models: Prisma.TransactionClient,
    readonly dialect: Dialect,
  ) {}

  query<Row>(sql: string, ...parameters: SqlParameter[]): Promise<Row[]> {
    const bound = this.dialect.bind(sql, parameters);
    return this.models.$queryRawUnsafe<Row[]>(bound.sql, ...bound.parameters);
  }

  execute(sql: string, ...parameters: SqlParameter[]): Promise<number> {
    const bound = this.dialect.bind(sql, parameters);
    return this.models.$executeRawUnsafe(bound.sql, ...bound.parameters);
  }

  /** Inserts all rows in few statements. A row that exists is overwritten (`update`) or left alone (`nothing`). */
  async insert(table: Table, rows: readonly object[], onConflict: 'update' | 'nothing'): Promise<void> {
    // PostgreSQL refuses to overwrite a row twice in one statement; the last one stands.
    const lasting = onConflict === 'update' ? lastOfEach(table.key, rows) : rows;
    for (const batch of jsonBatches(lasting)) await this.execute(this.insertStatement(table, onConflict), batch);
  }

  /** As `insert` with `nothing`; answers the `id` of the rows that are new. */
  async insertNew(table: Table, rows: readonly object[]): Promise<Set<string>> {
    const ids = new Set<string>();
    for (const batch of jsonBatches(rows)) {
      const inserted = await this.query<{ id: string }>(
        `${this.insertStatement(table, 'nothing')} returning id`,
        batch,
      );
      for (const { id } of inserted) ids.add(id);
    }
    return ids;
  }

  /** Runs `sql($rows)` for each batch of the rows, `$rows` being a table expression named `r`. */
  async forRows<Row>(columns: Columns, rows: readonly object[], sql: (r: string) => string): Promise<Row[]> {
    const answers: Row[][] = [];
    for (const batch of jsonBatches(rows)) answers.push(await this.query<Row>(sql(this.dialect.rows(columns)), batch));
    return answers.flat();
  }

  /** `forRows` for a list of keys: the column is named `id`. */
  forIds<Row>(ids: Iterable<string>, sql: (r: string) => string): Promise<Row[]> {
    const rows = [...new Set(ids)].map((id) => ({ id }));
    return this.forRows<Row>({ id: 'text' }, rows, sql);
  }

  /** Until the transaction ends no other process holds the same names. */
  async lockNames(names: Iterable<string>): Promise<void> {
    if (this.dialect.lockNames === undefined) return;
    await this.query(this.dialect.lockNames, storableJson([...new Set(names)]));
  }

  private insertStatement({ name, key, columns }: Table, onConflict: 'update' | 'nothing'): string {
    const fields = Object.keys(columns);
    const overwritten = fields.filter((field) => !key.includes(field)).map((field) => `${field} = excluded.${field}`);
    const action = onConflict === 'update' ? `update set ${overwritten.join(', ')}` : 'nothing';
    // Sorted, so that two batches meet their common rows in the same order. SQLite needs the `where` before `on conflict`.
    return `insert into ${name} (${fields.join(', ')}) select ${fields.join(', ')} from ${this.dialect.rows(columns)}
      where true order by ${key.join(', ')} on conflict (${key.join(', ')}) do ${action}`;
  }
}

function lastOfEach(key: readonly string[], rows: readonly object[]): readonly object[] {
  const byKey = new Map(rows.map((row) => [key.map((column) => Reflect.get(row, column)).join('\0'), row]));
  return byKey.size === rows.length ? rows : [...byKey.values()];
}

/** One client of one database; `close` ends it. */
export class Database {
  readonly sql: Sql;

  constructor(
    private readonly client: PrismaClient,
    readonly dialect: Dialect,
  ) {
    this.sql = new Sql(client, dialect);
  }

  /** All of `work` is written, or nothing. Inside, only the given `sql` may be used: another statement would wait for this transaction. */
  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.client.$transaction((models) => work(new Sql(models, this.dialect)), {
          maxWait: TURN_MS_MAX,
          timeout: TRANSACTION_MS_MAX,
        });
      } catch (error) {
        if (tries === TRIES_MAX || !isWriteConflict(error)) throw error;
      }
    }
  }

  /** Rejects while the database does not answer. */
  async ping(): Promise<void> {
    await this.sql.query('select 1 as alive');
  }

  /** Rejects while the database does not take a write either: read-only, or its disk is full. */
  async pingWrites(): Promise<void> {
    await this.sql.execute(
      'insert into write_probe (id, at) values (1, $1) on conflict (id) do update set at = excluded.at',
      BigInt(Date.now()),
    );
  }

  close(): Promise<void> {
    return this.client.$disconnect();
  }
}

/** Deadlock (40P01) or serialization failure (40001): Prisma says P2034, or P2010 with the code in our own SQL. */
function isWriteConflict(error: unknown): boolean {
  if (!(error instanceof PrismaClientKnownRequestError)) return false;
  if (error.code === 'P2034') return true;
  return error.code === 'P2010' && /40P01|40001|TransactionWriteConflict/.test(JSON.stringify(error.meta ?? {}));
}

/** The database did not answer (P1xxx), or had no connection or no time to begin a transaction; nothing is said of what was asked. */
export function isDatabaseAway(error: unknown): boolean {
  return error instanceof PrismaClientKnownRequestError && /^(P1\d{3}|P2024|P2028|P2037)$/.test(error.code);
}
