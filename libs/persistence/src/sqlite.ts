import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PrismaBetterSqlite3 } from '@prisma/adapter-better-sqlite3';
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import { Database } from './database.js';
import { SQLITE } from './dialect.js';
import { PrismaClient } from './generated/sqlite/client.js';
import { HISTORY_QUERY, type MigrationTarget, migrate } from './migrations.js';
import { gated } from './sqlite-gate.js';

export const SQLITE_FILE = 'tocsin.sqlite';
/** How long the file may be held by a process that is just ending. */
const BUSY_TIMEOUT_MS = 3_000;
/**
 * Pages (of 4 KiB) of the write-ahead log before they are copied to where they belong, and pages kept in memory. A page that many commits write is copied once;
 * with SQLite's own 1,000 and 500 a notification costs the database a quarter more (ADR 10).
 */
const CHECKPOINT_PAGES = 8_000;
const CACHE_PAGES = 4_000;
/** The write-ahead log is cut back to this after a checkpoint. */
const JOURNAL_BYTES_MAX = 64 * 1024 * 1024;

/**
 * EXCLUSIVE: one process owns the file, and the kernel lets go of it when that process dies, however it dies.
 * FULL: a commit is synced before it is acknowledged; WAL with NORMAL would not sync at all.
 */
const PRAGMAS = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA foreign_keys = ON;
  PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
  PRAGMA cache_size = ${CACHE_PAGES};
  PRAGMA journal_size_limit = ${JOURNAL_BYTES_MAX};
`;

/** Opens (or makes) the file in the data folder, with all migrations applied. */
export async function openSqlite(dataDirectory: string): Promise<Database> {
  mkdirSync(dataDirectory, { recursive: true });
  const file = join(dataDirectory, SQLITE_FILE);
  const { factory, prepared } = gated(
    new PrismaBetterSqlite3({ url: `file:${file}`, timeout: BUSY_TIMEOUT_MS }),
    PRAGMAS,
  );
  try {
    await migrateWith(await factory.connect());
  } catch (error) {
    if (isBusy(error)) {
      throw new Error(`${file} is in use by another process; stop that one, or name another TOCSIN_DATA_DIR`, {
        cause: error,
      });
    }
    throw error;
  }
  const client = new PrismaClient({ adapter: factory });
  await client.$connect();
  return new Database(client, SQLITE, prepared);
}

async function migrateWith(connection: SqlDriverAdapter): Promise<void> {
  try {
    await migrate(sqliteMigrationTarget(connection));
  } finally {
    await connection.dispose();
  }
}

/**
 * Redefining a table drops the old one. With foreign keys on, that deletes every row that refers to it, and a migration's own
 * `PRAGMA foreign_keys=OFF` is ignored inside a transaction. Hence this order:
 *
 *   foreign_keys=OFF - BEGIN IMMEDIATE - migration - history row - foreign_key_check - COMMIT or ROLLBACK - foreign_keys=ON
 */
export function sqliteMigrationTarget(connection: SqlDriverAdapter): MigrationTarget {
  // The driver throws where it should reject.
  const run = async (sql: string) => connection.executeScript(sql);
  const rowsOf = async (sql: string) => (await connection.queryRaw({ sql, args: [], argTypes: [] })).rows;
  return {
    provider: 'sqlite',
    run,
    history: async () =>
      (await rowsOf(HISTORY_QUERY)).map(([name, checksum, isFinished]) => ({
        name: String(name),
        checksum: String(checksum),
        isFinished: Number(isFinished) === 1,
      })),
    apply: async (sql, record) => {
      await run('PRAGMA foreign_keys = OFF');
      try {
        await run(`BEGIN IMMEDIATE;\n${sql}\n;${record}`);
        const dangling = await rowsOf('PRAGMA foreign_key_check');
        if (dangling.length > 0) throw new Error(`${dangling.length} rows would refer to nothing`);
        await run('COMMIT');
      } catch (error) {
        // Fails where SQLite has rolled back by itself; the first error is the one to tell.
        await run('ROLLBACK').catch(() => {});
        throw error;
      } finally {
        await run('PRAGMA foreign_keys = ON');
      }
    },
  };
}

function isBusy(error: unknown): boolean {
  const { cause } = error as { cause?: { originalCode?: string; kind?: string } };
  return cause?.originalCode?.startsWith('SQLITE_BUSY') === true || cause?.kind === 'SocketTimeout';
}
