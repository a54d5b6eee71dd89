import type { PreparedSql, SqliteDriver } from './prepared-sql.js';
import type { Sql } from './sql.js';

/** Works of one commit. */
const SHARED_MAX = 100;

/** Runs one transaction: all of `work` is written and synced, or nothing. */
export type PreparedTransactions = <T>(work: (sql: Sql) => Promise<T>) => Promise<T>;

interface Waiting {
  work(sql: Sql): Promise<unknown>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * Transactions that come while one runs share the next commit, and with it its sync: each has a savepoint of its own, so one that fails takes nothing with
 * it. What waits is bounded by who asks: a dispatcher has one turn, the workers' deliveries share their calls.
 */
export class SharedTransactions {
  private waiting: Waiting[] = [];
  private isRunning = false;

  constructor(
    private readonly driver: SqliteDriver,
    private readonly sql: PreparedSql,
    /** Holds the connection until the promise of `work` settles. */
    private readonly alone: (work: () => Promise<void>) => Promise<void>,
  ) {}

  run<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      if (!this.isRunning) void this.runAll();
    });
  }

  private async runAll(): Promise<void> {
    this.isRunning = true;
    while (this.waiting.length > 0) {
      await this.alone(() => this.commit(this.waiting.splice(0, SHARED_MAX)));
    }
    this.isRunning = false;
  }

  /** Never rejects: whoever waits is told. */
  private async commit(works: readonly Waiting[]): Promise<void> {
    try {
      this.driver.exec('begin immediate');
      const done: (() => void)[] = [];
      for (const waiting of works) done.push(await this.inSavepoint(waiting, works.length > 1));
      this.driver.exec('commit');
      for (const tell of done) tell();
    } catch (error) {
      // A commit that failed leaves the transaction open; some errors have closed it already.
      if (this.driver.inTransaction) this.driver.exec('rollback');
      for (const { reject } of works) reject(error);
    }
  }

  /** Answers how to tell the result once it is committed. @throws what closed the transaction, and with it everybody's work */
  private async inSavepoint({ work, resolve, reject }: Waiting, isShared: boolean): Promise<() => void> {
    if (!isShared) {
      const value = await work(this.sql);
      return () => resolve(value);
    }
    this.driver.exec('savepoint work');
    try {
      const value = await work(this.sql);
      this.driver.exec('release work');
      return () => resolve(value);
    } catch (error) {
      if (!this.driver.inTransaction) throw error;
      this.driver.exec('rollback to work; release work');
      return () => reject(error);
    }
  }
}
