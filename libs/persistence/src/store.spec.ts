import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from '@jest/globals';
import { startPostgresql } from '#testing';
import { openPersistence } from './open-persistence.js';
import { storeContract } from './store.contract.js';
import { openPersistenceInThread } from './thread/open-in-thread.js';

storeContract('on SQLite', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'tocsin-store-'));
  const persistence = await openPersistence({ dataDirectory });
  const close = async () => {
    await persistence.close();
    await rm(dataDirectory, { recursive: true });
  };
  return { persistence, ownedByOneProcess: true, close };
});

storeContract('on SQLite in a thread of its own', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'tocsin-store-'));
  const script = new URL('./thread/database-thread.contract.mjs', import.meta.url);
  const onFailed = (error: Error) => console.error(error);
  const persistence = await openPersistenceInThread({ dataDirectory, onFailed, script });
  const close = async () => {
    await persistence.close();
    await rm(dataDirectory, { recursive: true });
  };
  return { persistence, ownedByOneProcess: true, close };
});

const postgresql = startPostgresql();
if (postgresql === undefined) {
  describe.skip('on PostgreSQL', () => it('is not installed', () => {}));
} else {
  afterAll(async () => (await postgresql).stop());

  storeContract('on PostgreSQL', async () => {
    const databaseUrl = await (await postgresql).createDatabase();
    const persistence = await openPersistence({ databaseUrl, dataDirectory: '' });
    return { persistence, ownedByOneProcess: false, close: () => persistence.close() };
  });
}
