import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PrismaBetterSqlite3 } from '@prisma/adapter-better-sqlite3';
import { PrismaPg } from '@prisma/adapter-pg';
import { startPostgresql } from '#testing';
import { findMigrations, type MigrationTarget, migrate } from './migrations.js';
import { postgresqlMigrationTarget } from './postgresql.js';
import { sqliteMigrationTarget } from './sqlite.js';

interface Opened {
  target: MigrationTarget;
  rowsOf(sql: string): Promise<unknown[][]>;
  close(): Promise<void>;
}

function migrationContract(provider: 'sqlite' | 'postgresql', open: () => Promise<Opened>): void {
  describe(`migrations on ${provider}`, () => {
    let folder: string;
    let database: Opened;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tocsin-migrations-'));
      database = await open();
    });
    afterEach(async () => {
      await database.close();
      await rm(folder, { recursive: true });
    });

    const write = async (name: string, sql: string) => {
      await mkdir(join(folder, provider, name), { recursive: true });
      await writeFile(join(folder, provider, name, 'migration.sql'), sql);
    };
    const migrateHere = () => migrate(database.target, folder);
    const PARENTS = 'CREATE TABLE parents (id INTEGER PRIMARY KEY NOT NULL);';

    it('applies those of this version once', async () => {
      await cp(findMigrations(), folder, { recursive: true });
      expect((await migrateHere()).length).toBeGreaterThan(0);
      expect(await migrateHere()).toEqual([]);
      expect(await database.rowsOf('select count(*) from notifications')).toHaveLength(1);
    });

    it('applies what is new', async () => {
      await write('1_first', PARENTS);
      expect(await migrateHere()).toEqual(['1_first']);
      await write('2_second', "INSERT INTO parents VALUES (1); -- a semicolon; and a string ';'");
      expect(await migrateHere()).toEqual(['2_second']);
    });

    it('leaves nothing of a migration that fails, and goes on once it is mended', async () => {
      await write('1_first', PARENTS);
      await write('2_second', 'INSERT INTO parents VALUES (1); INSERT INTO nowhere VALUES (1);');
      await expect(migrateHere()).rejects.toThrow('migration 2_second failed and was rolled back');
      expect(await database.rowsOf('select * from parents')).toEqual([]);
      await write('2_second', 'INSERT INTO parents VALUES (1);');
      expect(await migrateHere()).toEqual(['2_second']);
    });

    it('refuses an edited one', async () => {
      await write('1_first', PARENTS);
      await migrateHere();
      await write('1_first', `${PARENTS} `);
      await expect(migrateHere()).rejects.toThrow('1_first was edited after it had been applied');
    });

    it('refuses one that was begun and not finished', async () => {
      await write('1_first', PARENTS);
      await migrateHere();
      await database.target.run('UPDATE _prisma_migrations SET finished_at = NULL');
      await expect(migrateHere()).rejects.toThrow('1_first was begun and not finished');
    });

    it('refuses a database of a newer version', async () => {
      await write('1_first', PARENTS);
      await write('2_second', 'INSERT INTO parents VALUES (1);');
      await migrateHere();
      await rm(join(folder, provider, '2_second'), { recursive: true });
      await expect(migrateHere()).rejects.toThrow('2_second, which this version does not know');
    });

    // SQLite redefines a table by copying and dropping it; with foreign keys on, the drop would delete every child.
    it('keeps the children when it redefines their parent', async () => {
      const children =
        'CREATE TABLE children (id INTEGER PRIMARY KEY NOT NULL, parent INTEGER NOT NULL REFERENCES parents (id) ON DELETE CASCADE);';
      await write(
        '1_first',
        `${PARENTS} ${children} INSERT INTO parents VALUES (1), (2); INSERT INTO children VALUES (1, 1), (2, 1), (3, 2);`,
      );
      await migrateHere();
      await write('2_redefine', provider === 'sqlite' ? REDEFINE_PARENTS : 'ALTER TABLE parents ADD COLUMN name TEXT;');
      expect(await migrateHere()).toEqual(['2_redefine']);
      expect((await database.rowsOf('select id from children')).map(([id]) => Number(id))).toEqual([1, 2, 3]);
      await expect(database.target.run('INSERT INTO children VALUES (4, 99)')).rejects.toThrow();
    });

    it('refuses one that leaves a row without its parent', async () => {
      const children =
        'CREATE TABLE children (id INTEGER PRIMARY KEY NOT NULL, parent INTEGER NOT NULL REFERENCES parents (id));';
      await write(
        '1_first',
        `${PARENTS} ${children} INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1, 1);`,
      );
      await migrateHere();
      await write('2_orphan', 'DELETE FROM parents;');
      await expect(migrateHere()).rejects.toThrow('2_orphan failed and was rolled back');
      expect(await database.rowsOf('select id from parents')).toHaveLength(1);
    });
  });
}

/** As the schema engine writes it. */
const REDEFINE_PARENTS = `
  PRAGMA defer_foreign_keys=ON;
  PRAGMA foreign_keys=OFF;
  CREATE TABLE "new_parents" ("id" INTEGER PRIMARY KEY NOT NULL, "name" TEXT);
  INSERT INTO "new_parents" ("id") SELECT "id" FROM "parents";
  DROP TABLE "parents";
  ALTER TABLE "new_parents" RENAME TO "parents";
  PRAGMA foreign_keys=ON;
  PRAGMA defer_foreign_keys=OFF;
`;

migrationContract('sqlite', async () => {
  const connection = await new PrismaBetterSqlite3({ url: ':memory:' }).connect();
  await connection.executeScript('PRAGMA foreign_keys = ON');
  return {
    target: sqliteMigrationTarget(connection),
    rowsOf: async (sql) => (await connection.queryRaw({ sql, args: [], argTypes: [] })).rows,
    close: () => connection.dispose(),
  };
});

const postgresql = startPostgresql();
if (postgresql === undefined) {
  describe.skip('migrations on postgresql', () => it('is not installed', () => {}));
} else {
  afterAll(async () => (await postgresql).stop());

  migrationContract('postgresql', async () => {
    const connectionString = await (await postgresql).createDatabase();
    const adapter = await new PrismaPg({ connectionString, max: 1 }).connect();
    return {
      target: await postgresqlMigrationTarget(adapter),
      rowsOf: async (sql) => (await adapter.queryRaw({ sql, args: [], argTypes: [] })).rows,
      close: () => adapter.dispose(),
    };
  });
}
