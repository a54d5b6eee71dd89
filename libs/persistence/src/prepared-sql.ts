import { storableText } from './batch-json.js';
import { type Columns, SQLITE, type SqlParameter } from './dialect.js';
import { onConflictClause, Sql } from './sql.js';
import type { Table } from './tables.js';

// The transactions that every notification passes through, on SQLite: the driver's own prepared statements, a row at a time. Through the client each
// statement is planned anew and its rows are read out of JSON, which costs more than writing them.

/** Statements kept; ours are some fifty. */
const STATEMENTS_MAX = 200;
/** Rows written before a look at the clock. */
const ROWS_BETWEEN_BREATHS = 50;

/** What is used of better-sqlite3. */
export interface SqliteDriver {
  prepare(sql: string): DriverStatement;
  exec(sql: string): unknown;
  /** A transaction is open. */
  readonly inTransaction: boolean;
}

interface DriverStatement {
  /** It answers rows. */
  readonly reader: boolean;
  safeIntegers(isOn: boolean): DriverStatement;
  all(...parameters: unknown[]): unknown[];
  run(...parameters: unknown[]): { changes: number };
}

/** Our own SQL on one SQLite connection, synchronously but for `breathe`, which lets sockets and timers have their turn. */
export class PreparedSql extends Sql {
  private readonly statements = new Map<string, Prepared>();

  constructor(
    private readonly driver: SqliteDriver,
    private readonly breathe: () => Promise<void>,
  ) {
    super(SQLITE);
  }

  async query<Row>(sql: string, ...parameters: SqlParameter[]): Promise<Row[]> {
    await this.breathe();
    return this.prepare(sql).all(parameters) as Row[];
  }

  async execute(sql: string, ...parameters: SqlParameter[]): Promise<number> {
    await this.breathe();
    return this.prepare(sql).run(parameters);
  }

  async insert(table: Table, rows: readonly object[], onConflict: 'update' | 'nothing'): Promise<void> {
    if (rows.length === 0) return;
    const statement = this.prepare(insertStatement(table, onConflict));
    await this.each(table.columns, rows, (values) => statement.run(values));
  }

  async insertNew(table: Table, rows: readonly object[]): Promise<Set<string>> {
    const ids = new Set<string>();
    if (rows.length === 0) return ids;
    const statement = this.prepare(insertStatement(table, 'nothing'));
    await this.each(table.columns, rows, (values, row) => {
      if (statement.run(values) > 0) ids.add(storableText(String(Reflect.get(row, 'id'))));
    });
    return ids;
  }

  async forRows<Row>(columns: Columns, rows: readonly object[], sql: (r: string) => string): Promise<Row[]> {
    const answers: Row[] = [];
    if (rows.length === 0) return answers;
    const statement = this.prepare(sql(oneRow(columns)));
    await this.each(columns, rows, (values) => {
      for (const answer of statement.all(values)) answers.push(answer as Row);
    });
    return answers;
  }

  /** Nobody else writes. */
  async lockNames(): Promise<void> {}

  private async each(
    columns: Columns,
    rows: readonly object[],
    work: (values: SqlParameter[], row: object) => void,
  ): Promise<void> {
    const fields = Object.keys(columns);
    for (const [index, row] of rows.entries()) {
      if (index % ROWS_BETWEEN_BREATHS === 0) await this.breathe();
      work(
        fields.map((field) => Reflect.get(row, field)),
        row,
      );
    }
  }

  private prepare(sql: string): Prepared {
    const known = this.statements.get(sql);
    if (known !== undefined) return known;

    const [oldest] = this.statements.keys();
    if (this.statements.size >= STATEMENTS_MAX && oldest !== undefined) this.statements.delete(oldest);
    const prepared = new Prepared(this.driver, sql);
    this.statements.set(sql, prepared);
    return prepared;
  }
}

class Prepared {
  private readonly statement: DriverStatement;
  /** Which parameter goes to each `?`. */
  private readonly places: readonly number[];

  constructor(driver: SqliteDriver, sql: string) {
    this.places = [...sql.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number) - 1);
    // All our integers are exact as numbers: the largest counts microseconds since 1970.
    this.statement = driver.prepare(sql.replaceAll(/\$\d+/g, '?')).safeIntegers(false);
  }

  all(parameters: readonly SqlParameter[]): unknown[] {
    if (this.statement.reader) return this.statement.all(...this.bound(parameters));
    this.run(parameters);
    return [];
  }

  run(parameters: readonly SqlParameter[]): number {
    return this.statement.run(...this.bound(parameters)).changes;
  }

  private bound(parameters: readonly SqlParameter[]): unknown[] {
    return this.places.map((place) => asStored(parameters[place]));
  }
}

/** As PostgreSQL would store it. */
function asStored(value: SqlParameter | undefined): unknown {
  if (typeof value === 'string') return storableText(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value ?? null;
}

function insertStatement(table: Table, onConflict: 'update' | 'nothing'): string {
  const fields = Object.keys(table.columns);
  const places = fields.map((_, index) => `$${index + 1}`);
  return `insert into ${table.name} (${fields.join(', ')}) values (${places.join(', ')}) ${onConflictClause(table, onConflict)}`;
}

function oneRow(columns: Columns): string {
  const fields = Object.keys(columns).map((name, index) => `$${index + 1} as ${name}`);
  return `(select ${fields.join(', ')}) as r`;
}
