import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PrismaPg } from '@prisma/adapter-pg';
import { startPostgresql, waitFor } from '#testing';
import { aClaim, aNotification, anEnvelope, aSettlement, changes, NOW } from './builders.contract.js';
import { openPersistence, type Persistence } from './open-persistence.js';
import { openPostgresql } from './postgresql.js';

const postgresql = startPostgresql();

(postgresql === undefined ? describe.skip : describe)('two processes on PostgreSQL', () => {
  let one: Persistence;
  let other: Persistence;
  let databaseUrl: string;

  beforeAll(async () => {
    databaseUrl = await (await postgresql!).createDatabase();
    // At once: one of them migrates, the other waits for it.
    [one, other] = (await Promise.all([1, 2].map(() => openPersistence({ databaseUrl, dataDirectory: '' })))) as [
      Persistence,
      Persistence,
    ];
  });
  afterAll(async () => {
    await Promise.all([one?.close(), other?.close()]);
    await (await postgresql)?.stop();
  });

  it('never spend one budget twice', async () => {
    const budgets = ['shared', 'both'].map((name) => ({ name, windowMs: 60_000, limit: 20 }));
    const claimsOf = (run: Persistence, name: string) =>
      Array.from({ length: 30 }, (_, index) => {
        const targetKey = `dingtalk:${index % 3}`;
        const envelope = anEnvelope(`${name}-${index}`, { targetKey });
        // Each other process asks in the other order.
        const own = name === 'one' ? budgets : budgets.toReversed();
        return run.worker.claim(
          [aClaim(envelope.id, { envelope, budgets: own, released: true, claimedBy: name })],
          NOW,
        );
      });
    const answers = (await Promise.all([...claimsOf(one, 'one'), ...claimsOf(other, 'other')])).flat();
    expect(answers.filter(({ claim }) => claim === 'granted')).toHaveLength(20);
    expect(answers.filter(({ claim }) => claim === 'waiting')).toHaveLength(40);
  });

  it('grant one attempt once, and no target more sends than it may have', async () => {
    const requests = (claimedBy: string) =>
      Array.from({ length: 20 }, (_, index) => {
        const envelope = anEnvelope(`same-${index}`, { targetKey: 'webhook:one' });
        return aClaim(envelope.id, { envelope, claimedBy, perTargetInFlight: 5, released: true });
      });
    const answers = await Promise.all([
      one.worker.claim(requests('one'), NOW),
      other.worker.claim(requests('other').reverse(), NOW),
    ]);
    expect(answers.flat().filter(({ claim }) => claim === 'granted')).toHaveLength(5);
  });

  it('claim, settle and commit the same notifications without getting stuck', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `mixed-${index}`);
    const epoch = await one.dispatcher.takeEpoch('one', NOW);
    await one.dispatcher.commit(epoch, changes({ notifications: ids.map((id) => aNotification(id)) }));
    await one.worker.claim(
      ids.map((id) => aClaim(id)),
      NOW,
    );
    const reversed = ids.toReversed();
    await Promise.all([
      one.worker.settle(ids.map((id) => aSettlement(id))),
      other.worker.settle(reversed.map((id) => aSettlement(id))),
      other.worker.claim(
        reversed.map((id) => aClaim(id, { attempt: 2, claimedBy: 'other' })),
        NOW,
      ),
      one.dispatcher.commit(epoch, changes({ released: reversed })),
    ]);
    const views = await Promise.all(ids.map((id) => other.review.findNotification(id)));
    expect(new Set(views.map((view) => view?.status))).toEqual(new Set(['sent']));
  });

  it('fence each other off: what the first commits after the second took over is not written', async () => {
    const first = await one.dispatcher.takeEpoch('one', NOW);
    const commits = Array.from({ length: 10 }, (_, index) =>
      one.dispatcher.commit(first, changes({ notifications: [aNotification(`fence-${index}`)] })),
    );
    await other.dispatcher.takeEpoch('other', NOW);
    const results = await Promise.all(commits);
    const written = await Promise.all(results.map((_, index) => one.review.findNotification(`fence-${index}`)));
    expect(written.map((view) => (view === undefined ? 'superseded' : { due: [] }))).toEqual(results);
    expect(await one.dispatcher.commit(first, changes())).toBe('superseded');
  });

  it('see that the database takes no writes, as a standby or one with a full disk does', async () => {
    const database = await openPostgresql(databaseUrl);
    const operator = await new PrismaPg({ connectionString: databaseUrl, max: 1 }).connect();
    const setReadOnly = (value: 'on' | 'off') => {
      const sql = `alter database ${new URL(databaseUrl).pathname.slice(1)} set default_transaction_read_only = ${value}`;
      return operator.executeRaw({ sql, args: [], argTypes: [] });
    };
    await setReadOnly('on');
    await expect(database.ping()).resolves.toBeUndefined();
    await expect(database.pingWrites()).rejects.toThrow('read-only');
    await setReadOnly('off');
    await Promise.all([database.close(), operator.dispose()]);
    await expect(one.pingWrites()).resolves.toBeUndefined();
  });

  it('go on after their connections were cut', async () => {
    await expect(other.ping()).resolves.toBeUndefined();
    const cutter = await new PrismaPg({ connectionString: databaseUrl, max: 1 }).connect();
    const cut =
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()';
    await cutter.queryRaw({ sql: cut, args: [], argTypes: [] });
    await cutter.dispose();
    const answers = () => other.worker.claim([aClaim('after-cut')], NOW).catch(() => undefined);
    expect(await waitFor(answers, { timeoutMs: 30_000, what: 'a claim' })).toMatchObject([
      { claim: 'granted', mayRepeat: false },
    ]);
  });

  it('fail every call at once while the database is away', async () => {
    await (await postgresql!).stop();
    const calls = Array.from({ length: 50 }, (_, index) => one.worker.claim([aClaim(`away-${index}`)], NOW));
    const results = await Promise.allSettled(calls);
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['rejected']));
    await expect(one.ping()).rejects.toThrow();
    const secret = databaseUrl.replace('postgres@', 'postgres:secret@');
    const opened = openPersistence({ databaseUrl: secret, dataDirectory: '' });
    await expect(opened).rejects.toThrow(`the database ${databaseUrl} cannot be used: connect ECONNREFUSED`);
  });
});
