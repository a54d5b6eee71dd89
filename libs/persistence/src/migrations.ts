import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A database to migrate; the two kinds differ in what protects a migration (`sqlite.ts`, `postgresql.ts`). */
export interface MigrationTarget {
  readonly provider: 'sqlite' | 'postgresql';
  /** Runs statements that answer nothing. */
  run(sql: string): Promise<void>;
  /** Answers the history; empty where its table has just been made. */
  history(): Promise<AppliedMigration[]>;
  /** Runs the migration and `record` in one transaction: both, or neither. */
  apply(sql: string, record: string): Promise<void>;
}

export interface AppliedMigration {
  name: string;
  checksum: string;
  isFinished: boolean;
}

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

/** Stops the start; the message is one sentence for the operator. */
export class MigrationError extends Error {}

/** Applies what is missing. The history is Prisma's own table, so `prisma migrate deploy` stays usable. */
export async function migrate(target: MigrationTarget, folder = findMigrations()): Promise<string[]> {
  const migrations = readMigrations(join(folder, target.provider));
  await target.run(HISTORY_TABLE[target.provider]);
  const applied = await target.history();
  assertContinues(applied, migrations);

  const missing = migrations.slice(applied.length);
  for (const migration of missing) await apply(target, migration);
  return missing.map(({ name }) => name);
}

/** The history must be the first of the migrations at hand, unchanged and each finished. */
function assertContinues(applied: readonly AppliedMigration[], migrations: readonly Migration[]): void {
  for (const [index, { name, checksum, isFinished }] of applied.entries()) {
    const expected = migrations[index];
    if (!isFinished) {
      throw new MigrationError(`migration ${name} was begun and not finished; restore a backup or finish it by hand`);
    }
    if (expected?.name !== name) {
      throw new MigrationError(
        `the database has migration ${name}, which this version does not know at its place; use the version that made it, or a newer one`,
      );
    }
    if (expected.checksum !== checksum) {
      throw new MigrationError(`migration ${name} was edited after it had been applied; restore its migration.sql`);
    }
  }
}

async function apply(target: MigrationTarget, { name, sql, checksum }: Migration): Promise<void> {
  // The values are a UUID, hex digits and a folder's name of a-z, 0-9 and _: nothing to escape.
  const record = `INSERT INTO "_prisma_migrations" ("id", "checksum", "finished_at", "migration_name", "applied_steps_count")
    VALUES ('${randomUUID()}', '${checksum}', CURRENT_TIMESTAMP, '${name}', 1);`;
  try {
    await target.apply(sql, record);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new MigrationError(`migration ${name} failed and was rolled back: ${why}`, { cause: error });
  }
}

function readMigrations(folder: string): Migration[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^\w+$/.test(entry.name))
    .map(({ name }) => name)
    .sort()
    .map((name) => {
      const sql = readFileSync(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    });
}

/** `prisma/migrations`, seen from the sources as well as from `dist`. */
export function findMigrations(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, 'prisma/migrations');
    if (existsSync(candidate)) return candidate;
  }
  throw new MigrationError(`prisma/migrations was not found above ${import.meta.url}`);
}

const HISTORY_TABLE = {
  sqlite: `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "checksum" TEXT NOT NULL,
    "finished_at" DATETIME,
    "migration_name" TEXT NOT NULL,
    "logs" TEXT,
    "rolled_back_at" DATETIME,
    "started_at" DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0
  )`,
  postgresql: `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    "id" VARCHAR(36) PRIMARY KEY NOT NULL,
    "checksum" VARCHAR(64) NOT NULL,
    "finished_at" TIMESTAMPTZ,
    "migration_name" VARCHAR(255) NOT NULL,
    "logs" TEXT,
    "rolled_back_at" TIMESTAMPTZ,
    "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(),
    "applied_steps_count" INTEGER NOT NULL DEFAULT 0
  )`,
};

/** Rolled back by an operator (`prisma migrate resolve`) counts as never applied. */
export const HISTORY_QUERY = `SELECT "migration_name", "checksum", "finished_at" IS NOT NULL AS "is_finished"
  FROM "_prisma_migrations" WHERE "rolled_back_at" IS NULL ORDER BY "migration_name"`;
