import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Database } from './database.js';
import { openSqlite } from './sqlite.js';
import { BUDGETS } from './tables.js';

describe('sqlite gate', () => {
  let folder: string;
  let database: Database;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tocsin-gate-'));
    database = await openSqlite(folder);
  });
  afterEach(async () => {
    await database.close();
    await rm(folder, { recursive: true });
  });

  const insert = 'insert into audit (id, at, "by", action, subject, detail) values ($1, 1, $2, $2, $2, $2)';
  const idsOf = async () => {
    const rows = await database.sql.query<{ id: string }>('select id from audit order by id');
    return rows.map(({ id }) => id);
  };

  /** Through the client, and by prepared statements. */
  const WAYS = ['transaction', 'batch'] as const;

  it.each(WAYS)('keeps statements from outside out of an open %s, and loses none with its rollback', async (way) => {
    const acknowledged: string[] = [];
    const writes = Array.from({ length: 200 }, async (_, index) => {
      const id = `w${String(index).padStart(3, '0')}`;
      await database.sql.execute(insert, id, 'x');
      acknowledged.push(id);
    });
    const rolledBack = Array.from({ length: 40 }, (_, index) =>
      database[way](async (sql) => {
        await sql.execute(insert, `t${index}`, 'x');
        await sql.query('select count(*) from audit');
        throw new Error('rolled back');
      }),
    );
    await Promise.all([
      ...writes,
      ...rolledBack.map((transaction) => expect(transaction).rejects.toThrow('rolled back')),
    ]);
    expect(await idsOf()).toEqual(acknowledged.sort());
  });

  it('tells a database that only reads from one that writes', async () => {
    await database.sql.execute('pragma query_only = on');
    await expect(database.ping()).resolves.toBeUndefined();
    await expect(database.pingWrites()).rejects.toThrow('readonly');
    await database.sql.execute('pragma query_only = off');
    await expect(database.pingWrites()).resolves.toBeUndefined();
  });

  it.each(WAYS)('stays usable after a %s whose commit failed', async (way) => {
    const dangling = database[way](async (sql) => {
      await sql.execute('pragma defer_foreign_keys = on');
      await sql.execute("insert into notification_alerts (notification_id, fingerprint) values ('nobody', 'f')");
    });
    // Not `rejects.toThrow`: the driver is loaded once for a process, and its errors are those of the spec that loaded it first.
    expect(
      await dangling.then(
        () => 'committed',
        () => 'refused',
      ),
    ).toBe('refused');
    await database.sql.execute(insert, 'after', 'x');
    await database[way]((sql) => sql.execute(insert, 'again', 'x'));
    expect(await idsOf()).toEqual(['after', 'again']);
  });

  it('lets timers have their turn in the middle of a batch of rows', async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    const rows = Array.from({ length: 1_000 }, (_, index) => ({ id: `r${index}` }));
    await database.batch(async (sql) => {
      // Without the time slice no timer would fire before the loop ends.
      for (let batches = 0; turns < 3 && batches < 1_000; batches += 1)
        await sql.forIds(
          rows.map(({ id }) => id),
          (r) => `select id from ${r}`,
        );
    });
    clearInterval(timer);
    // The timer may have another turn between the last look at the count and here.
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it('stores what PostgreSQL could store, whichever way it is written', async () => {
    const odd = 'a\0b\ud800c';
    const budget = (name: string) => ({
      name,
      spends: odd,
      window_ms: 1,
      spend_limit: 1,
      blocked_until: 0,
      updated_at: 1,
    });
    await database.batch((sql) => sql.insert(BUDGETS, [budget(odd)], 'nothing'));
    await database.sql.insert(BUDGETS, [budget(`${odd}2`)], 'nothing');
    const rows = await database.sql.query('select name, spends from budgets order by name');
    expect(rows).toEqual([
      { name: 'a\ufffdb\ufffdc', spends: 'a\ufffdb\ufffdc' },
      { name: 'a\ufffdb\ufffdc2', spends: 'a\ufffdb\ufffdc' },
    ]);
  });

  it('lets timers have their turn while it works', async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    // Without the time slice no timer would fire before the loop ends.
    for (let statements = 0; turns < 3 && statements < 100_000; statements += 1)
      await database.sql.query('select 1 as one');
    clearInterval(timer);
    // The timer may have another turn between the last look at the count and here.
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it('syncs each commit, checks foreign keys and holds the file alone', async () => {
    const pragma = async (name: string) =>
      Object.values((await database.sql.query<Record<string, unknown>>(`pragma ${name}`))[0]!)[0];
    expect(await pragma('journal_mode')).toBe('wal');
    expect(Number(await pragma('synchronous'))).toBe(2);
    expect(Number(await pragma('foreign_keys'))).toBe(1);
    await expect(openSqlite(folder)).rejects.toThrow('is in use by another process');
  });
});
