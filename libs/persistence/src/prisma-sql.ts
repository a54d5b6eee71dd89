import { jsonBatches, storableJson } from './batch-json.js';
import type { Columns, Dialect, SqlParameter } from './dialect.js';
import type { Prisma } from './generated/sqlite/client.js';
import { onConflictClause, Sql } from './sql.js';
import type { Table } from './tables.js';

/** Our own SQL through Prisma: many rows travel as one JSON parameter. */
export class PrismaSql extends Sql {
  constructor(
    /** The tables through Prisma, in the same transaction. */
    readonly models: Prisma.TransactionClient,
    dialect: Dialect,
  ) {
    super(dialect);
  }

  query<Row>(sql: string, ...parameters: SqlParameter[]): Promise<Row[]> {
    const bound = this.dialect.bind(sql, parameters);
    return this.models.$queryRawUnsafe<Row[]>(bound.sql, ...bound.parameters);
  }

  execute(sql: string, ...parameters: SqlParameter[]): Promise<number> {
    const bound = this.dialect.bind(sql, parameters);
    return this.models.$executeRawUnsafe(bound.sql, ...bound.parameters);
  }

  async insert(table: Table, rows: readonly object[], onConflict: 'update' | 'nothing'): Promise<void> {
    // PostgreSQL refuses to overwrite a row twice in one statement; the last one stands.
    const lasting = onConflict === 'update' ? lastOfEach(table.key, rows) : rows;
    for (const batch of jsonBatches(lasting)) await this.execute(this.insertStatement(table, onConflict), batch);
  }

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

  async forRows<Row>(columns: Columns, rows: readonly object[], sql: (r: string) => string): Promise<Row[]> {
    const answers: Row[][] = [];
    for (const batch of jsonBatches(rows)) answers.push(await this.query<Row>(sql(this.dialect.rows(columns)), batch));
    return answers.flat();
  }

  async lockNames(names: Iterable<string>): Promise<void> {
    if (this.dialect.lockNames === undefined) return;
    await this.query(this.dialect.lockNames, storableJson([...new Set(names)]));
  }

  private insertStatement(table: Table, onConflict: 'update' | 'nothing'): string {
    const fields = Object.keys(table.columns).join(', ');
    // Sorted, so that two batches meet their common rows in the same order. SQLite needs the `where` before `on conflict`.
    return `insert into ${table.name} (${fields}) select ${fields} from ${this.dialect.rows(table.columns)}
      where true order by ${table.key.join(', ')} ${onConflictClause(table, onConflict)}`;
  }
}

function lastOfEach(key: readonly string[], rows: readonly object[]): readonly object[] {
  const byKey = new Map(rows.map((row) => [key.map((column) => Reflect.get(row, column)).join('\0'), row]));
  return byKey.size === rows.length ? rows : [...byKey.values()];
}
