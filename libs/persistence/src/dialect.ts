/** A column of a batch parameter. */
export type ColumnType = 'text' | 'int' | 'bigint' | 'boolean';
export type Columns = Record<string, ColumnType>;

export type SqlParameter = string | number | bigint | boolean | null;

/** All that differs between the two databases in our own SQL. Statements are written with PostgreSQL's `$1`. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgresql';
  /** A table expression: the rows of the JSON array in parameter `$n`. */
  rows(columns: Columns, parameter?: number): string;
  /** Ends a select whose rows the transaction then writes. Empty where one connection writes alone. */
  readonly forUpdate: string;
  /** Locks each text of the JSON array in `$1` until the transaction ends; `undefined` where one connection writes alone. */
  readonly lockNames: string | undefined;
  /** The statement and its parameters as the driver takes them. */
  bind(sql: string, parameters: readonly SqlParameter[]): { sql: string; parameters: readonly SqlParameter[] };
  /** One process owns the database: a claim by another run of it is the claim of a dead one. */
  readonly ownedByOneProcess: boolean;
}

export const SQLITE: Dialect = {
  name: 'sqlite',
  rows: (columns, parameter = 1) => {
    const fields = Object.keys(columns).map((name) => `json_extract(value, '$.${name}') as ${name}`);
    return `(select ${fields.join(', ')} from json_each($${parameter})) as r`;
  },
  forUpdate: '',
  lockNames: undefined,
  // The driver binds by place only: a parameter used twice is given twice.
  bind: (sql, parameters) => {
    const places: SqlParameter[] = [];
    const placed = sql.replaceAll(/\$(\d+)/g, (_, number: string) => {
      places.push(parameters[Number(number) - 1]!);
      return '?';
    });
    return { sql: placed, parameters: places };
  },
  ownedByOneProcess: true,
};

export const POSTGRESQL: Dialect = {
  name: 'postgresql',
  rows: (columns, parameter = 1) => {
    const fields = Object.entries(columns).map(([name, type]) => `${name} ${type}`);
    return `jsonb_to_recordset($${parameter}::jsonb) as r(${fields.join(', ')})`;
  },
  forUpdate: 'for update',
  // In the order of the hashes, so that two batches never wait for each other in a circle.
  lockNames: `select count(pg_advisory_xact_lock(h)) from (
    select distinct hashtextextended(name, 0) as h from jsonb_array_elements_text($1::jsonb) as names(name) order by h
  ) as hashes`,
  bind: (sql, parameters) => ({ sql, parameters }),
  ownedByOneProcess: false,
};
