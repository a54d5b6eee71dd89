import { PrismaPg } from '@prisma/adapter-pg';
import { Database } from './database.js';
import { POSTGRESQL } from './dialect.js';
import { PrismaClient } from './generated/postgresql/client.js';
import type { PrismaClient as CommonClient } from './generated/sqlite/client.js';
import { HISTORY_QUERY, MigrationError, type MigrationTarget, migrate } from './migrations.js';

const CONNECTIONS_MAX = 8;
const CONNECT_TIMEOUT_MS = 5_000;
/** A process that stops in the middle of a transaction (suspended, cut off) loses its locks after this. */
const IDLE_IN_TRANSACTION_MS_MAX = 30_000;
/** Two processes that start at once: one migrates, the other waits. Any number that nobody else uses. */
const MIGRATION_LOCK = 7_406_531_120_417;

/** Connects, with all migrations applied. */
export async function openPostgresql(databaseUrl: string): Promise<Database> {
  const adapter = new PrismaPg({
    connectionString: databaseUrl,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS_MAX,
    keepAlive: true,
  });
  try {
    await migratePostgresql(databaseUrl);
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    throw new Error(`the database ${withoutPassword(databaseUrl)} cannot be used: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  // The two clients differ only in options that SQLite lacks, which we do not use.
  return new Database(new PrismaClient({ adapter }) as unknown as CommonClient, POSTGRESQL);
}

/** One connection from lock to unlock: with more, the lock and the migration could land on different ones. */
async function migratePostgresql(databaseUrl: string): Promise<void> {
  const factory = new PrismaPg({
    connectionString: databaseUrl,
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  const adapter = await factory.connect();
  try {
    await migrate(await postgresqlMigrationTarget(adapter));
  } finally {
    // Closing the connection lets go of the lock and of whatever a failed migration left open.
    await adapter.dispose();
  }
}

/** Takes the migration lock; it is held until the adapter is disposed of. */
export async function postgresqlMigrationTarget(
  adapter: Awaited<ReturnType<PrismaPg['connect']>>,
): Promise<MigrationTarget> {
  // The adapter's own executeScript cuts at every semicolon, also inside a string.
  const pool = adapter.underlyingDriver();
  const run = async (sql: string) => {
    await pool.query(sql);
  };
  await run(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
  return {
    provider: 'postgresql',
    run,
    history: async () => {
      const { rows } = await pool.query<{ migration_name: string; checksum: string; is_finished: boolean }>(
        HISTORY_QUERY,
      );
      return rows.map((row) => ({ name: row.migration_name, checksum: row.checksum, isFinished: row.is_finished }));
    },
    apply: async (sql, record) => {
      try {
        await run(`BEGIN;\n${sql}\n;${record}\nCOMMIT;`);
      } catch (error) {
        await run('ROLLBACK');
        throw error;
      }
    },
  };
}

function withoutPassword(databaseUrl: string): string {
  if (!URL.canParse(databaseUrl)) return 'that DATABASE_URL names';
  const url = new URL(databaseUrl);
  url.password = '';
  return url.href;
}

/** A host with several addresses fails with one error for all and no message of its own. */
function reasonOf(error: unknown): string {
  const { errors, message } = error as { errors?: unknown[]; message?: string };
  return errors === undefined ? (message ?? String(error)) : errors.map(reasonOf).join('; ');
}
