import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { lockDataFolder } from './data-folder-lock.js';

describe('data folder lock', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tocsin-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  // Waits for its predecessor for five seconds before it refuses.
  it('refuses a folder that a live process holds and names the process', async () => {
    await lockDataFolder(folder);
    await expect(lockDataFolder(folder)).rejects.toThrow(`in use by process ${process.pid}`);
  });

  it('can be taken again once released', async () => {
    const lock = await lockDataFolder(folder);
    await lock.release();
    await expect(lockDataFolder(folder)).resolves.toBeDefined();
  });

  it.each([
    ['a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, startedAt: '1' })],
    ['a process id that now belongs to another program', JSON.stringify({ pid: process.pid, startedAt: '1' })],
    ['a damaged lock file', 'x'],
  ])('takes over the lock of %s', async (_, content) => {
    await writeFile(join(folder, 'broker.lock'), content);
    await expect(lockDataFolder(folder)).resolves.toBeDefined();
  });
});
