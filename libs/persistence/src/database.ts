import { PrismaClientKnownRequestError } from '@prisma/client/runtime/client';
import type { Dialect } from './dialect.js';
import type { PrismaClient } from './generated/sqlite/client.js';
import type { PreparedTransactions } from './prepared-transactions.js';
import { PrismaSql } from './prisma-sql.js';
import type { Sql } from './sql.js';

/** A transaction waits for those before it, and never longer than this for its turn. */
const TURN_MS_MAX = 30_000;
const TRANSACTION_MS_MAX = 60_000;
/** PostgreSQL ends one of two transactions that wait for each other; it is run again. */
const TRIES_MAX = 5;

/** One client of one database; `close` ends it. */
export class Database {
  readonly sql: PrismaSql;

  constructor(
    private readonly client: PrismaClient,
    readonly dialect: Dialect,
    /** A faster way for `batch`, where the driver has one. */
    private readonly prepared?: PreparedTransactions,
  ) {
    this.sql = new PrismaSql(client, dialect);
  }

  /** As `transaction`, for the transactions that every notification passes through. */
  batch<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.prepared === undefined ? this.transaction(work) : this.prepared(work);
  }

  /** All of `work` is written, or nothing. Inside, only the given `sql` may be used: another statement would wait for this transaction. */
  async transaction<T>(work: (sql: PrismaSql) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.client.$transaction((models) => work(new PrismaSql(models, this.dialect)), {
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
