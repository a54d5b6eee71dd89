import { describe, expect, it } from '@jest/globals';
import { codeError, type FileStep, ForgetfulFiles, turn, until } from '#testing';
import { RESERVE_FILE } from './disk-reserve.js';
import { SegmentLog } from './segment-log.js';
import type { LogOwner, Position } from './types.js';

const RESERVE_BYTES = 64 * 1024;
const SEGMENT_BYTES = 16 * 1024;
const BODY_BYTES = 1000;

/** An owner with one queue, which knows what must be found after a start. */
class OneQueue implements LogOwner {
  log!: SegmentLog;
  readonly live = new Map<number, Position>();
  readonly heardLow: boolean[] = [];

  static async on(files: ForgetfulFiles, reserveBytes: number): Promise<OneQueue> {
    const owner = new OneQueue();
    owner.log = await SegmentLog.open({ directory: '/log', owner, files, segmentBytes: SEGMENT_BYTES, reserveBytes });
    const [found] = owner.log.recoveredQueues();
    for (let row = 0; row < (found?.count ?? 0); row++) owner.live.set(found!.sequences[row]!, found!.positions[row]!);
    owner.log.onLowOnDisk((isLow) => owner.heardLow.push(isLow));
    return owner;
  }

  isLive(_queue: number, sequence: number): boolean {
    return this.live.has(sequence);
  }

  moved(_queue: number, sequence: number, position: Position): void {
    this.live.set(sequence, position);
  }

  /** Returns the log offset at which they are durable. */
  publish(count: number): number {
    for (let left = count; left > 0; left--) {
      const sequence = this.log.lastSequence + 1;
      const placements = [{ queue: 1, expiresAt: 0, flags: 0 }];
      this.live.set(sequence, this.log.appendMessage(sequence, placements, [Buffer.alloc(BODY_BYTES, sequence)]));
    }
    this.log.requestSync();
    return this.log.appended;
  }

  ack(sequences: number[]): number {
    const positions = sequences.map((sequence) => this.live.get(sequence)!);
    for (const sequence of sequences) this.live.delete(sequence);
    this.log.appendAcks(1, sequences, positions);
    this.log.requestSync();
    return this.log.appended;
  }

  async allReadable(): Promise<boolean> {
    const payloads = await this.log.read(
      [...this.live.values()],
      [...this.live].map(() => BODY_BYTES),
    );
    return [...this.live.keys()].every((sequence, index) =>
      payloads[index]?.equals(Buffer.alloc(BODY_BYTES, sequence)),
    );
  }

  synced(): Promise<void> {
    const { appended } = this.log;
    return until(() => this.log.durable >= appended);
  }
}

async function expectSurvives(queue: OneQueue, files: ForgetfulFiles): Promise<void> {
  const wanted = [...queue.live.keys()].sort((one, other) => one - other);
  const next = await OneQueue.on(
    files.afterPowerCut(() => 0.99),
    0,
  );
  expect([...next.live.keys()]).toEqual(wanted);
  expect(await next.allReadable()).toBe(true);
  await next.log.close();
}

const isLogFile = (path: string): boolean => path.endsWith('.log');

describe('a disk that is full', () => {
  const sites: [site: string, step: FileStep, isHit: (path: string) => boolean][] = [
    ['the write of records, a footer or a new segment with its snapshot', 'write', isLogFile],
    ['the making of the next segment', 'create', isLogFile],
  ];
  it.each(sites)(
    'stops no log, confirms nothing and goes on when there is room again: %s',
    async (_site, step, isHit) => {
      const files = new ForgetfulFiles();
      const queue = await OneQueue.on(files, 0);
      queue.log.define('a definition', Buffer.alloc(2000, 1));
      queue.publish(3);
      await queue.synced();

      let isFull = true;
      let hits = 0;
      files.failAt = (at, path) => {
        if (!isFull || at !== step || !isHit(path)) return undefined;
        hits++;
        return codeError('ENOSPC', 'no space left on device');
      };
      // Enough for three roll-overs.
      const wanted = queue.publish(50);
      await until(() => hits > 0);
      for (let turns = 0; turns < 200; turns++) await turn();
      expect(queue.log.failed).toBeUndefined();
      expect(queue.log.durable).toBeLessThan(wanted);
      expect(queue.log.isLowOnDisk).toBe(true);
      expect(await queue.allReadable()).toBe(true);

      isFull = false;
      await until(() => queue.log.durable >= wanted);
      await until(() => !queue.log.isLowOnDisk);
      expect(queue.heardLow).toEqual([true, false]);
      expect(await queue.allReadable()).toBe(true);
      await expectSurvives(queue, files);
    },
  );

  it('lets earlier batches become durable, which are in their file', async () => {
    const files = new ForgetfulFiles();
    const queue = await OneQueue.on(files, 0);
    await queue.synced();
    files.holdSyncs = true;
    const first = queue.publish(1);
    await until(() => files.heldSyncs.length === 1);
    files.failAt = (at) => (at === 'write' ? codeError('ENOSPC', 'full') : undefined);
    const second = queue.publish(1);
    files.holdSyncs = false;
    files.heldSyncs.shift()!();
    await until(() => queue.log.durable >= first);
    await until(() => queue.log.isLowOnDisk);
    expect(queue.log.durable).toBeLessThan(second);
    files.failAt = () => undefined;
    await until(() => queue.log.durable >= second);
    await queue.log.close();
  });

  it.each(['ENOSPC', 'EIO'])('never repeats a sync that failed with %s', async (code) => {
    const files = new ForgetfulFiles();
    const queue = await OneQueue.on(files, RESERVE_BYTES);
    let syncs = 0;
    files.failAt = (at, path) => {
      if (at !== 'fdatasync' || !isLogFile(path)) return undefined;
      syncs++;
      return codeError(code, 'not synced');
    };
    queue.publish(1);
    await until(() => queue.log.failed !== undefined);
    await queue.log.close();
    expect(syncs).toBe(1);
  });

  it('never repeats the sync of a new segment either', async () => {
    const files = new ForgetfulFiles();
    const queue = await OneQueue.on(files, 0);
    files.failAt = (at) => (at === 'fsyncDirectory' ? codeError('ENOSPC', 'full') : undefined);
    queue.publish(50);
    await until(() => queue.log.failed !== undefined);
    expect(queue.log.failed!.message).toContain('was not synced');
    await queue.log.close();
  });

  it('fails the log when a directory that files left cannot be synced', async () => {
    const files = new ForgetfulFiles();
    const queue = await OneQueue.on(files, 0);
    queue.publish(40);
    await queue.synced();
    files.failAt = (at) => (at === 'fsyncDirectory' ? codeError('EIO', 'broken') : undefined);
    queue.ack([...queue.live.keys()]);
    await until(() => queue.log.failed !== undefined);
    await queue.log.close();
  });

  it('removes files later on a file system that needs room for that too', async () => {
    const files = new ForgetfulFiles();
    const queue = await OneQueue.on(files, 0);
    queue.publish(40);
    await queue.synced();
    let refused = 0;
    files.failAt = (at) => (at === 'unlink' && refused++ < 3 ? codeError('ENOSPC', 'full') : undefined);
    queue.ack([...queue.live.keys()]);
    await until(() => refused > 0);
    while (queue.log.stats().segments > 1) {
      queue.publish(1);
      await queue.synced();
      queue.ack([...queue.live.keys()]);
      await turn();
    }
    expect(queue.log.failed).toBeUndefined();
    await queue.log.close();
  });

  it('is told at once on a start and on a close, which would otherwise wait for ever', async () => {
    const files = new ForgetfulFiles();
    files.capacity = 1000;
    await expect(OneQueue.on(files, 0)).rejects.toThrow('ENOSPC');

    files.capacity = 100_000;
    const queue = await OneQueue.on(files, 0);
    await queue.synced();
    const { durable } = queue.log;
    files.capacity = files.usedBytes;
    queue.publish(5);
    await until(() => queue.log.isLowOnDisk);
    await queue.log.close();
    expect(queue.log.durable).toBe(durable);
  });
});

describe('the reserve', () => {
  async function aQueueOnAFullDisk(): Promise<{ queue: OneQueue; files: ForgetfulFiles }> {
    const files = new ForgetfulFiles();
    const queue = await OneQueue.on(files, RESERVE_BYTES);
    queue.publish(40);
    await queue.synced();
    await until(() => sizeOfReserve(files) === RESERVE_BYTES);
    for (let turns = 0; turns < 10; turns++) await turn();
    files.capacity = files.usedBytes;
    return { queue, files };
  }

  it('lets acknowledgements be written on a full disk, and space come back by them', async () => {
    const { queue, files } = await aQueueOnAFullDisk();
    const wanted = queue.publish(2);
    await until(() => queue.log.durable >= wanted);
    expect(queue.log.isLowOnDisk).toBe(true);
    expect(sizeOfReserve(files)).toBe(0);

    const { segments } = queue.log.stats();
    const acked = queue.ack([...queue.live.keys()].slice(0, -2));
    await until(() => queue.log.durable >= acked);
    await until(() => queue.log.stats().segments < segments);
    await expectSurvives(queue, files);
  });

  it('is made again when there is room for it, and only then publishers may go on', async () => {
    const { queue, files } = await aQueueOnAFullDisk();
    queue.publish(2);
    await until(() => queue.log.isLowOnDisk);
    await queue.synced();
    // Room, but not for all of it.
    files.capacity = files.usedBytes + RESERVE_BYTES;
    queue.publish(2);
    await queue.synced();
    for (let turns = 0; turns < 100; turns++) await turn();
    expect(queue.log.isLowOnDisk).toBe(true);

    files.capacity = Number.POSITIVE_INFINITY;
    await until(() => !queue.log.isLowOnDisk);
    expect(sizeOfReserve(files)).toBe(RESERVE_BYTES);
    await queue.log.close();
  });

  it('of an earlier run is found and used, also by a start', async () => {
    const { queue, files } = await aQueueOnAFullDisk();
    const wanted = [...queue.live.keys()];
    const after = files.afterKill();
    after.capacity = after.usedBytes;
    const next = await OneQueue.on(after, RESERVE_BYTES);
    expect([...next.live.keys()]).toEqual(wanted);
    expect(next.log.isLowOnDisk).toBe(true);
    const acked = next.ack([...next.live.keys()]);
    await until(() => next.log.durable >= acked);
    await next.log.close();
  });

  it('does no harm where there is no room for it: the log is low on disk from the start', async () => {
    const files = new ForgetfulFiles();
    files.capacity = RESERVE_BYTES;
    const queue = await OneQueue.on(files, RESERVE_BYTES);
    await until(() => queue.log.isLowOnDisk);
    const wanted = queue.publish(5);
    await until(() => queue.log.durable >= wanted);
    await queue.log.close();
  });

  function sizeOfReserve(files: ForgetfulFiles): number {
    const path = `/log/${RESERVE_FILE}`;
    return files.paths().includes(path) ? files.bytesOf(path).length : 0;
  }
});
