import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { nodeFiles } from './file-layer.js';
import { SegmentLog } from './segment-log.js';
import type { LogOwner, Placement } from './types.js';

const owner: LogOwner = { isLive: () => true, moved: () => undefined };
const inQueue = (queue: number, flags = 0, expiresAt = 0): Placement => ({ queue, flags, expiresAt });

let directory: string;
let log: SegmentLog | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'segment-log-'));
});
afterEach(async () => {
  await log?.close();
  log = undefined;
  await rm(directory, { recursive: true });
});

async function open(segmentBytes = 64 * 1024): Promise<SegmentLog> {
  await log?.close();
  log = await SegmentLog.open({ directory, segmentBytes, owner });
  return log;
}

function durable(of: SegmentLog): Promise<void> {
  const end = of.appended;
  return new Promise((resolve) => {
    const stop = of.onDurable(() => {
      if (of.durable < end) return;
      stop();
      resolve();
    });
    of.requestSync();
  });
}

describe('a log that is closed and opened again', () => {
  it('makes sure that a file prepared and never used is gone before a later one is begun', async () => {
    await (await open()).close();
    log = undefined;
    const steps: string[] = [];
    const nameOf = (path: string) => path.slice(directory.length + 1);
    const files = {
      ...nodeFiles,
      open: (path: string, mode: 'create' | 'existing') => {
        if (mode === 'create') steps.push(`create ${nameOf(path)}`);
        return nodeFiles.open(path, mode);
      },
      unlink: (path: string) => {
        steps.push(`remove ${nameOf(path)}`);
        return nodeFiles.unlink(path);
      },
      fsyncDirectory: (path: string) => {
        steps.push('sync names');
        return nodeFiles.fsyncDirectory(path);
      },
    };
    const prepared = '0000000099.log';
    await nodeFiles.close(await nodeFiles.open(join(directory, prepared), 'create'));
    log = await SegmentLog.open({ directory, files, segmentBytes: 64 * 1024, owner });
    const before = steps.slice(0, steps.indexOf('create 0000000100.log'));
    expect(before).toContain(`remove ${prepared}`);
    expect(before.at(-1)).toBe('sync names');
  });

  it('hands back the messages that were not acknowledged, in order, with their placements', async () => {
    const first = await open();
    const one = first.appendMessage(1, [inQueue(7, 2, 1234.5), inQueue(9)], [Buffer.from('he'), Buffer.from('llo')]);
    const two = first.appendMessage(2, [inQueue(7)], [Buffer.alloc(0)]);
    const three = first.appendMessage(5, [inQueue(7)], [Buffer.from('x')]);
    first.appendAcks(7, [2], [two]);
    first.appendMarks(7, [5]);

    const second = await open();
    expect(second.recovery.findings).toEqual([]);
    expect(second.lastSequence).toBe(5);
    expect(second.recoveredQueues()).toEqual([
      {
        queue: 7,
        count: 2,
        sequences: Float64Array.of(1, 5),
        positions: Float64Array.of(one, three),
        sizes: Uint32Array.of(5, 1),
        expiresAt: Float64Array.of(1234.5, 0),
        flags: Uint8Array.of(2, 1),
      },
      {
        queue: 9,
        count: 1,
        sequences: Float64Array.of(1),
        positions: Float64Array.of(one),
        sizes: Uint32Array.of(5),
        expiresAt: Float64Array.of(0),
        flags: Uint8Array.of(0),
      },
    ]);
    expect((await second.read([three, one], [1, 5])).map(String)).toEqual(['x', 'hello']);
  });

  it('keeps definitions over any number of segments and forgets removed ones', async () => {
    const first = await open(4096);
    first.define('queue/a', Buffer.from('1'));
    first.define('queue/b', Buffer.from('2'));
    for (let sequence = 1; sequence <= 50; sequence++) {
      first.appendMessage(sequence, [inQueue(1)], [Buffer.alloc(1000)]);
    }
    first.define('queue/b', undefined);
    first.define('queue/a', Buffer.from('3'));
    const second = await open(4096);
    expect(second.stats().segments).toBeGreaterThan(10);
    expect(new Map(second.definitions)).toEqual(new Map([['queue/a', Buffer.from('3')]]));
    expect(second.recoveredQueues()[0]!.count).toBe(50);
  });

  it('forgets the messages of a dropped queue, not those put there later', async () => {
    const first = await open();
    first.appendMessage(1, [inQueue(3), inQueue(4)], [Buffer.from('a')]);
    first.dropQueue(3);
    first.appendMessage(2, [inQueue(3)], [Buffer.from('b')]);
    const second = await open();
    const queues = second.recoveredQueues();
    expect(queues.map(({ queue, sequences }) => [queue, ...sequences])).toEqual([
      [3, 2],
      [4, 1],
    ]);
  });

  it('gives out no sequence twice even when all messages are gone', async () => {
    const first = await open();
    first.appendAcks(1, [41], [first.appendMessage(41, [inQueue(1)], [Buffer.from('a')])]);
    await open();
    await open();
    expect((await open()).lastSequence).toBe(41);
  });
});

describe('reading', () => {
  it('answers from memory, the open file and sealed files alike', async () => {
    const reading = await open(16 * 1024);
    const positions: number[] = [];
    const sizes: number[] = [];
    for (let sequence = 1; sequence <= 200; sequence++) {
      const size = (sequence * 37) % 2000;
      positions.push(reading.appendMessage(sequence, [inQueue(1)], [Buffer.alloc(size, sequence)]));
      sizes.push(size);
      if (sequence === 150) await durable(reading);
    }
    const payloads = await reading.read(positions, sizes);
    payloads.forEach((payload, index) => {
      expect(payload!.equals(Buffer.alloc(sizes[index]!, index + 1))).toBe(true);
    });
  });
});
