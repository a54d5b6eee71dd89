import { describe, expect, it } from '@jest/globals';
import { codeError, ForgetfulFiles, turn, until } from '#testing';
import { SegmentLog } from './segment-log.js';
import type { LogOwner } from './types.js';

const owner: LogOwner = { isLive: () => true, moved: () => undefined };

async function aLog(segmentBytes = 1024 * 1024): Promise<{ log: SegmentLog; files: ForgetfulFiles; add(): number }> {
  const files = new ForgetfulFiles();
  const log = await SegmentLog.open({ directory: '/log', owner, files, segmentBytes });
  let sequence = 0;
  const add = (): number => {
    log.appendMessage(++sequence, [{ queue: 1, expiresAt: 0, flags: 0 }], [Buffer.alloc(1000, sequence)]);
    return log.appended;
  };
  return { log, files, add };
}

/** Lets one held sync go, and waits until the log has heard of it. */
async function letSync(files: ForgetfulFiles, log: SegmentLog): Promise<void> {
  await until(() => files.heldSyncs.length > 0);
  const { syncs } = log.stats();
  files.heldSyncs.shift()!();
  await until(() => log.stats().syncs > syncs);
}

describe('group commit', () => {
  it('calls nothing durable before its fdatasync has returned, and gathers the next batch meanwhile', async () => {
    const { log, files, add } = await aLog();
    files.holdSyncs = true;
    const first = add();
    log.requestSync();
    await until(() => files.heldSyncs.length === 1);
    const second = add();
    const third = add();
    log.requestSync();
    expect(log.durable).toBeLessThan(first);
    expect(log.unsyncedBytes).toBe(third - log.durable);

    await letSync(files, log);
    expect(log.durable).toBe(first);
    await letSync(files, log);
    expect(second).toBeLessThan(third);
    expect(log.durable).toBe(third);
    expect(log.unsyncedBytes).toBe(0);
  });

  it('syncs all publishes of one tick once', async () => {
    const { log, add } = await aLog();
    const { syncs } = log.stats();
    for (let count = 0; count < 100; count++) {
      add();
      log.requestSync();
    }
    const { appended } = log;
    await until(() => log.durable >= appended);
    expect(log.stats().syncs).toBe(syncs + 1);
  });

  it('writes and syncs what nobody waits for after a while', async () => {
    const { log, add } = await aLog();
    const end = add();
    await new Promise<void>((resolve) => {
      log.onDurable(() => {
        if (log.durable >= end) resolve();
      });
    });
    expect(log.durable).toBe(end);
  });

  it('syncs a full segment to its end before it writes to the next', async () => {
    const { log, files, add } = await aLog(4096);
    files.calls.length = 0;
    for (let count = 0; count < 12; count++) add();
    log.requestSync();
    await until(() => log.unsyncedBytes === 0);
    let newest = '';
    let isSynced = true;
    for (const call of files.calls.filter((each) => !each.startsWith('fsync'))) {
      const [step, file] = call.split(' ') as [string, string];
      if (step === 'write') {
        if (newest !== '' && file !== newest) expect(isSynced).toBe(true);
        newest = file;
      }
      isSynced = step === 'fdatasync' && file === newest;
    }
    expect(log.stats().segments).toBeGreaterThan(3);
  });

  it('asks for more than one write when a batch spans several segments, and reaches the end', async () => {
    const { log, add } = await aLog(4096);
    let end = 0;
    for (let count = 0; count < 50; count++) end = add();
    log.requestSync();
    await until(() => log.durable >= end);
  });
});

describe('a log whose disk fails', () => {
  it.each(['write', 'fdatasync'] as const)(
    'stays failed after one failed %s, whatever later ones say',
    async (step) => {
      const { log, files, add } = await aLog();
      add();
      log.requestSync();
      await until(() => log.unsyncedBytes === 0);
      const { durable } = log;
      const failures: Error[] = [];
      log.onFailed((error) => failures.push(error));
      let left = 1;
      files.failAt = (at) => (at === step && left-- > 0 ? codeError('EIO', 'broken') : undefined);
      add();
      log.requestSync();
      await until(() => log.failed !== undefined);
      expect(failures).toEqual([log.failed]);
      expect(() => add()).toThrow('EIO');
      log.requestSync();
      for (let turns = 0; turns < 20; turns++) await turn();
      expect(log.durable).toBe(durable);
      await log.close();
    },
  );

  it('fails when the next segment cannot be made', async () => {
    const { log, files, add } = await aLog(4096);
    files.failAt = (step) => (step === 'create' ? codeError('EIO', 'broken') : undefined);
    for (let count = 0; count < 12; count++) add();
    log.requestSync();
    await until(() => log.failed !== undefined);
    expect(log.failed!.message).toContain('EIO');
  });

  it('tells whoever opens it', async () => {
    const files = new ForgetfulFiles();
    files.failAt = (step) => (step === 'fdatasync' ? codeError('EIO', 'broken') : undefined);
    await expect(SegmentLog.open({ directory: '/log', owner, files })).rejects.toThrow('EIO');
  });
});
