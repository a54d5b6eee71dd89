import { crc32 } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ForgetfulFiles, logFile, seededRandom } from '#testing';
import { encodeSegmentHeader, HEADER_COPY_AT, RECORDS_AT, TRAILER_BYTES } from './layout.js';
import { SegmentLog } from './segment-log.js';
import type { LogOwner } from './types.js';

const owner: LogOwner = { isLive: () => true, moved: () => undefined };
const SEGMENT_BYTES = 4096;
const SIZE = 300;

const open = (files: ForgetfulFiles): Promise<SegmentLog> =>
  SegmentLog.open({ directory: '/log', owner, files, segmentBytes: SEGMENT_BYTES });

/** Messages 1..count of queue 1, every third acknowledged, one definition after each tenth. Closed. */
async function aClosedLog(count = 60): Promise<ForgetfulFiles> {
  const files = new ForgetfulFiles();
  const log = await open(files);
  for (let sequence = 1; sequence <= count; sequence++) {
    const position = log.appendMessage(
      sequence,
      [{ queue: 1, expiresAt: 0, flags: 0 }],
      [Buffer.alloc(SIZE, sequence)],
    );
    if (sequence % 3 === 0) log.appendAcks(1, [sequence], [position]);
    if (sequence % 10 === 0) log.define('last ten', Buffer.from(String(sequence)));
  }
  await log.close();
  return files;
}

/** What a start finds: sequences, those of them whose payload is there, definitions, letters of the findings. */
async function found(files: ForgetfulFiles) {
  const log = await open(files);
  const [queue] = log.recoveredQueues();
  const sequences = [...(queue?.sequences ?? [])];
  const payloads = await log.read(queue?.positions ?? [], queue?.sizes ?? []);
  const readable = sequences.filter((sequence, index) => payloads[index]?.equals(Buffer.alloc(SIZE, sequence)));
  const result = {
    sequences,
    readable,
    definition: String(log.definitions.get('last ten')),
    letters: log.recovery.findings.map(({ letter }) => letter),
    report: log.recovery,
  };
  await log.close();
  return result;
}

function alter(files: ForgetfulFiles, number: number, change: (bytes: Buffer) => Buffer | undefined): ForgetfulFiles {
  const bytes = Buffer.from(files.bytesOf(logFile(number)));
  files.replace(logFile(number), change(bytes) ?? bytes);
  return files;
}

const flip = (at: number) => (bytes: Buffer) => {
  bytes[at < 0 ? bytes.length + at : at]! ^= 0x10;
  return undefined;
};

const expected = Array.from({ length: 60 }, (_, index) => index + 1).filter((sequence) => sequence % 3 !== 0);

describe('recovery', () => {
  it('finds by footers what it finds by scanning', async () => {
    const files = await aClosedLog();
    const byFooters = await found(files.copy());
    const scanned = files.copy();
    for (let number = 1; number < newestUsed(scanned); number++) {
      alter(scanned, number, (bytes) => Buffer.from(bytes.subarray(0, bytes.length - TRAILER_BYTES)));
    }
    const byScanning = await found(scanned);
    expect(byFooters.report.footersRead).toBeGreaterThan(3);
    expect(byScanning.report.footersRead).toBe(0);
    expect(byScanning.letters.every((letter) => letter === 'H')).toBe(true);
    expect(byFooters.sequences).toEqual(expected);
    expect({ ...byScanning, letters: [], report: null }).toEqual({ ...byFooters, letters: [], report: null });
  });

  it('needs one scan only: a missing footer is written again', async () => {
    const files = await aClosedLog();
    alter(files, 2, (bytes) => Buffer.from(bytes.subarray(0, bytes.length - TRAILER_BYTES)));
    const first = await found(files);
    expect(first.letters).toEqual(['H']);
    const second = await found(files);
    expect(second.letters).toEqual([]);
    expect(second.readable).toEqual(expected);
  });

  it('reads the header from its copy', async () => {
    const files = alter(await aClosedLog(), 2, flip(3));
    expect(await found(files)).toMatchObject({ readable: expected, letters: [] });
  });

  it('does without both headers, with the footer or by scanning', async () => {
    const noHeaders = (bytes: Buffer) => {
      flip(3)(bytes);
      flip(HEADER_COPY_AT + 3)(bytes);
      return undefined;
    };
    const withFooter = alter(await aClosedLog(), 2, noHeaders);
    expect(await found(withFooter)).toMatchObject({ readable: expected, letters: ['G'] });
    const without = alter(await aClosedLog(), 2, (bytes) => {
      noHeaders(bytes);
      return Buffer.from(bytes.subarray(0, bytes.length - TRAILER_BYTES));
    });
    expect(await found(without)).toMatchObject({ readable: expected, letters: ['H', 'J'] });
  });

  it.each([
    ['torn record', (bytes: Buffer) => Buffer.from(bytes.subarray(0, bytes.length - 7)), ['N']],
    ['zero tail', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(5000)]), ['M']],
    ['garbage tail', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(5001, 0xa5)]), ['N']],
  ])('cuts a %s from the open segment and keeps all before it', async (_, damage, letters) => {
    const files = await aClosedLog();
    const newest = newestUsed(files);
    expect(await found(alter(files, newest, damage))).toMatchObject({ readable: expected, letters });
    expect(await found(files)).toMatchObject({ readable: expected, letters: [] });
  });

  it('sets aside what is not of this log and starts', async () => {
    const files = await aClosedLog();
    const other = await aClosedLog(12);
    files.replace(logFile(2), other.bytesOf(logFile(1)));
    const result = await found(files);
    expect(result.letters).toContain('A');
    expect(files.paths()).toContain(`${logFile(2)}.damaged`);
    expect(result.sequences.length).toBeGreaterThan(20);
  });

  it('starts empty when nothing can be told about the only file, and leaves it for a person', async () => {
    const files = new ForgetfulFiles();
    const file = await files.open(logFile(1), 'create');
    await files.close(file);
    files.replace(logFile(1), Buffer.alloc(20_000, 0xa5));
    const result = await found(files);
    expect(result.letters).toEqual(['D']);
    expect(files.paths()).toContain(`${logFile(1)}.damaged`);
  });

  it('keeps a definition of which one copy is damaged, in a log without a second segment', async () => {
    const files = new ForgetfulFiles();
    const log = await open(files);
    log.define('last ten', Buffer.from('10'));
    await log.close();
    const at = files.bytesOf(logFile(1)).indexOf('last ten');
    expect(await found(alter(files, 1, flip(at)))).toMatchObject({ definition: '10', letters: ['L'] });
  });

  it('keeps the definitions when the first page of the only snapshot is gone', async () => {
    const files = new ForgetfulFiles();
    const log = await open(files);
    log.define('last ten', Buffer.from('10'));
    await log.close();
    await found(files);
    const newest = newestUsed(files);
    for (const path of files.paths()) if (path !== logFile(newest)) files.replace(path, Buffer.alloc(0));
    alter(files, newest, (bytes) => bytes.fill(0, RECORDS_AT, RECORDS_AT + 4096));
    expect(await found(files)).toMatchObject({ definition: '10' });
  });

  it('takes the definitions from an older segment where the newest snapshot is damaged in both copies', async () => {
    const files = await aClosedLog();
    const newest = newestUsed(files);
    const bytes = files.bytesOf(logFile(newest));
    const at = bytes.indexOf('last ten');
    alter(files, newest, flip(at));
    alter(files, newest, flip(bytes.indexOf('last ten', at + 1)));
    expect(await found(files)).toMatchObject({ definition: '60' });
  });

  it('refuses a log of another format version with one sentence', async () => {
    const files = await aClosedLog();
    const header = encodeSegmentHeader({ segment: 1, identity: Buffer.alloc(8), lastSequence: 0, snapshotCount: 0 });
    header.writeUInt32LE(99, 8);
    header.writeUInt32LE(crc32(header.subarray(0, 36)), 36);
    alter(files, 1, (bytes) => {
      header.copy(bytes);
      return undefined;
    });
    await expect(open(files)).rejects.toThrow('format 99');
  });

  it('loses at most the hit record when a bit flips anywhere', async () => {
    const files = await aClosedLog();
    const paths = files.paths().filter((path) => files.bytesOf(path).length > 0);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        fc.nat(7),
        async (file, at, bit) => {
          const damaged = files.copy();
          const path = paths[file % paths.length]!;
          const bytes = damaged.bytesOf(path);
          bytes[Math.floor(at * bytes.length)]! ^= 1 << bit;
          damaged.replace(path, bytes);
          const { readable } = await found(damaged);
          const missing = expected.filter((sequence) => !readable.includes(sequence));
          // An ack that is hit brings its message back: at least once, never less.
          const returned = readable.filter((sequence) => !expected.includes(sequence));
          expect(missing.length + returned.length).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('starts whatever is written over it', async () => {
    const files = await aClosedLog();
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    for (let round = 0; round < 100; round++) {
      const damaged = files.copy();
      for (const path of damaged.paths()) {
        if (random() < 0.5) continue;
        const bytes = damaged.bytesOf(path);
        const from = Math.floor(random() * bytes.length);
        if (random() < 0.3) {
          damaged.replace(path, Buffer.from(bytes.subarray(0, from)));
          continue;
        }
        const to = from + Math.floor(random() * 3000);
        for (let at = from; at < Math.min(to, bytes.length); at++) bytes[at] = Math.floor(random() * 256);
        damaged.replace(path, bytes);
      }
      await found(damaged).catch((error: unknown) => {
        throw new Error(`seed ${seed} round ${round}`, { cause: error });
      });
    }
  });

  it('is not led astray by payloads that look like records', async () => {
    const inner = await aClosedLog(8);
    const files = new ForgetfulFiles();
    const log = await open(files);
    const payload = inner.bytesOf(logFile(1)).subarray(RECORDS_AT);
    const placements = [{ queue: 9, expiresAt: 0, flags: 0 }];
    log.appendMessage(1, placements, [payload]);
    log.appendMessage(2, placements, [Buffer.from('after')]);
    await log.close();
    // The outer record's header is hit, so that the search for the next record runs through its payload.
    const bytes = files.bytesOf(logFile(1));
    const at = bytes.indexOf(payload.subarray(0, 64)) - 48;
    alter(files, 1, flip(at));
    const reopened = await open(files);
    expect(reopened.recoveredQueues().map(({ queue, sequences }) => [queue, ...sequences])).toEqual([[9, 2]]);
    await reopened.close();
  });
});

function newestUsed(files: ForgetfulFiles): number {
  const used = files.paths().filter((path) => files.bytesOf(path).length > 0);
  return Number.parseInt(used.at(-1)!.slice('/log/'.length), 10);
}
