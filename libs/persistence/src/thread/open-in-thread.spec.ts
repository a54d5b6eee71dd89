import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { aNotification, changes, NOW } from '../builders.contract.js';
import { openPersistenceInThread } from './open-in-thread.js';

const SCRIPT = new URL('./database-thread.contract.mjs', import.meta.url);

/** Each thread compiles the sources for itself. */
jest.setTimeout(60_000);

describe('database thread', () => {
  let folder: string;
  let failures: Error[];
  const open = (script = SCRIPT) =>
    openPersistenceInThread({ dataDirectory: folder, onFailed: (error) => failures.push(error), script });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tocsin-thread-'));
    failures = [];
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('finishes what was asked before it was closed, and then takes nothing', async () => {
    const persistence = await open();
    const { dispatcher, close } = persistence;
    const epoch = await dispatcher.takeEpoch('a', NOW);
    const ids = Array.from({ length: 50 }, (_, n) => `n${n}`);
    const written = ids.map((id) => dispatcher.commit(epoch, changes({ notifications: [aNotification(id)] })));
    await close();
    expect(await Promise.all(written)).toEqual(ids.map(() => ({ due: [] })));
    await expect(dispatcher.load()).rejects.toThrow('has ended');

    const again = await open();
    expect(await again.review.findNotification('n49')).toMatchObject({ id: 'n49', status: 'queued' });
    await again.close();
    expect(failures).toEqual([]);
  });

  it('says in one sentence why it did not open', async () => {
    const first = await open();
    await expect(open()).rejects.toThrow('is in use by another process; stop that one');
    await first.close();
  });

  it('rejects a call with the error of the other side, and goes on', async () => {
    const { worker, dispatcher, close } = await open();
    await expect(worker.claim([{} as never], NOW)).rejects.toThrow();
    expect(await dispatcher.takeEpoch('a', NOW)).toBe(1);
    await close();
  });

  it('fails what waits, and tells its owner, when it ends by itself', async () => {
    const ending = new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { parentPort } from 'node:worker_threads';
        parentPort.postMessage({ opened: true });
        parentPort.once('message', () => process.exit(3));`)}`,
    );
    const { ping } = await open(ending);
    await expect(ping()).rejects.toThrow('has ended');
    expect(failures).toHaveLength(1);

    const never = new URL('data:text/javascript,process.exit(4)');
    await expect(open(never)).rejects.toThrow('ended with 4 before it was ready');
  });
});
