import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Database } from './database.js';
import type { Sql } from './sql.js';
import { openSqlite } from './sqlite.js';

describe('transactions that share a commit', () => {
  let folder: string;
  let database: Database;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tocsin-shared-'));
    database = await openSqlite(folder);
  });
  afterEach(async () => {
    await database.close();
    await rm(folder, { recursive: true });
  });

  const insert = (id: string) => async (sql: Sql) => {
    await sql.execute(
      'insert into audit (id, at, "by", action, subject, detail) values ($1, 1, $2, $2, $2, $2)',
      id,
      'x',
    );
    return id;
  };
  const failing = (id: string) => async (sql: Sql) => {
    await insert(id)(sql);
    throw new Error(`no ${id}`);
  };
  const stored = async () => {
    const rows = await database.sql.query<{ id: string }>('select id from audit order by id');
    return rows.map(({ id }) => id);
  };
  const outcomes = async (works: ((sql: Sql) => Promise<unknown>)[]) => {
    const results = await Promise.allSettled(works.map((work) => database.batch(work)));
    return results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason)));
  };

  it('answers each its own, and one that fails takes only itself back', async () => {
    const works = [insert('a'), insert('b'), failing('c'), insert('d'), failing('e'), insert('f')];
    expect(await outcomes(works)).toEqual(['a', 'b', 'Error: no c', 'd', 'Error: no e', 'f']);
    expect(await stored()).toEqual(['a', 'b', 'd', 'f']);
  });

  it('sees what those before it wrote, in the order of asking', async () => {
    const count = async (sql: Sql) => (await sql.query<{ n: number }>('select count(*) as n from audit'))[0]?.n;
    expect(await outcomes([insert('a'), count, insert('b'), count, failing('c'), count])).toEqual([
      ...['a', 1, 'b', 2, 'Error: no c', 2],
    ]);
  });

  it('fails all when the transaction is closed under them, or does not commit, and works on', async () => {
    const closing = async (sql: Sql) => {
      await insert('x')(sql);
      await sql.execute('rollback');
      throw new Error('closed');
    };
    expect(await outcomes([insert('a'), closing, insert('b')])).toEqual(Array(3).fill('Error: closed'));
    const dangling = async (sql: Sql) => {
      await sql.execute('pragma defer_foreign_keys = on');
      await sql.execute("insert into notification_alerts (notification_id, fingerprint) values ('nobody', 'f')");
    };
    const refused = expect.stringContaining('FOREIGN KEY');
    expect(await outcomes([insert('c'), dangling])).toEqual([refused, refused]);
    expect(await outcomes([insert('g'), insert('h')])).toEqual(['g', 'h']);
    expect(await stored()).toEqual(['g', 'h']);
  });
});
