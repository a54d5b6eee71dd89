import { describe, expect, it } from '@jest/globals';
import { Appender } from './appender.js';
import { SegmentContents } from './contents.js';
import { decodeFooter, encodeFooter } from './footer.js';
import { decodeSegmentHeader, encodeSegmentHeader, offsetOf, positionOf, RECORDS_AT, segmentOf } from './layout.js';
import { Segments } from './segments.js';

const identity = Buffer.from('0102030405060708', 'hex');

/** Bytes of the records that `write` appends to a new segment 3, after the batch's first record. */
function bytesOf(write: (appender: Appender) => void): string {
  const recovered = { identity, segments: new Segments(), definitions: new Map(), lastSequence: 0 };
  const appender = new Appender(recovered, 1024 * 1024, () => undefined);
  appender.openSegment(3);
  write(appender);
  const { buffers } = appender.buffer.take()!;
  const SYNCED_RECORD = 24;
  return Buffer.concat(buffers)
    .subarray(RECORDS_AT + SYNCED_RECORD)
    .toString('hex')
    .replace(/(.{8})(?=.)/g, '$1 ');
}

describe('known bytes', () => {
  it('of a message in two queues', () => {
    const placements = [
      { queue: 7, flags: 2, expiresAt: 1.5 },
      { queue: 0x01020304, flags: 0, expiresAt: 0 },
    ];
    expect(bytesOf((appender) => appender.message(5, placements, [Buffer.from('al'), Buffer.from('ert')], 0))).toBe(
      KNOWN.message,
    );
  });

  it('of a moved message', () => {
    const placements = [{ queue: 7, flags: 0, expiresAt: 0 }];
    expect(bytesOf((appender) => appender.message(5, placements, [Buffer.from('alert!!!')], 2))).toBe(KNOWN.moved);
  });

  it('of acks', () => {
    expect(bytesOf((appender) => appender.acks(7, [5, 6], [positionOf(2, 8192), positionOf(3, 8216)]))).toBe(
      KNOWN.acks,
    );
  });

  it('of marks', () => {
    expect(bytesOf((appender) => appender.marks(7, [5]))).toBe(KNOWN.marks);
  });

  it('of a definition and its removal, each written twice', () => {
    expect(bytesOf((appender) => appender.define('key', Buffer.from('val')))).toBe(KNOWN.definition);
    expect(bytesOf((appender) => appender.define('key', undefined))).toBe(KNOWN.removal);
  });

  it('of a dropped queue', () => {
    expect(bytesOf((appender) => appender.dropped(7))).toBe(KNOWN.dropped);
  });

  it('of a segment header, which comes back', () => {
    const header = { segment: 3, identity, lastSequence: 9, snapshotCount: 2 };
    const bytes = encodeSegmentHeader(header);
    expect(bytes.toString('hex').replace(/(.{8})(?=.)/g, '$1 ')).toBe(KNOWN.header);
    expect(decodeSegmentHeader(bytes)).toEqual(header);
  });
});

describe('a footer', () => {
  it('gives back what went in, with and without its optional columns', () => {
    for (const isFull of [false, true]) {
      const contents = new SegmentContents();
      contents.lastSequence = 12;
      contents.snapshotCount = 2;
      for (let row = 1; row <= 70; row++) {
        contents.placements.add(row, row * 8, row, 1, isFull ? row / 2 : 0, isFull ? row & 3 : 0, isFull ? 1 : 0);
        contents.acks.add(2, row, 4);
        contents.marks.add(3, row);
        contents.drops.add(row, row * 100);
        contents.definitions.add(row * 16);
      }
      const bytes = encodeFooter(contents, 3, identity, 8192, 42);
      const decoded = decodeFooter(Buffer.from(bytes));
      expect(rowsOf(decodeFooter(bytes))).toEqual(rowsOf(contents));
      expect(decoded.lastSequence).toBe(12);
      expect(decoded.snapshotCount).toBe(2);
    }
  });
});

describe('a position', () => {
  it('names segment and offset and grows with both', () => {
    const position = positionOf(2 ** 24 - 1, 2 ** 32 - 8);
    expect(Number.isSafeInteger(position)).toBe(true);
    expect([segmentOf(position), offsetOf(position)]).toEqual([2 ** 24 - 1, 2 ** 32 - 8]);
    expect(positionOf(2, 0)).toBeGreaterThan(positionOf(1, 2 ** 32 - 8));
  });
});

function rowsOf({ placements, acks, marks, drops, definitions }: SegmentContents): number[][] {
  const used = (columns: ArrayLike<number>[], count: number): number[][] =>
    columns.map((column) => Array.from(column).slice(0, count));
  const { sequences, expiresAt, offsets, sizes, queues, sources, flags } = placements;
  return [
    ...used([sequences, expiresAt, offsets, sizes, queues, sources, flags], placements.count),
    ...used([acks.sequences, acks.queues, acks.targets], acks.count),
    ...used([marks.sequences, marks.queues], marks.count),
    ...used([drops.befores, drops.queues], drops.count),
    ...used([definitions.offsets], definitions.count),
  ];
}

/** Length, CRC, version + kind + flags, check; then the body as drawn in layout.ts. */
const KNOWN = {
  message:
    '45000000 344182d0 01010000 a921384b 00000000 00001440 02000000 00000000 07000000 02000000 00000000 0000f83f 04030201 00000000 00000000 00000000 616c6572 74000000',
  moved:
    '38000000 ac89d96d 01020000 bb014ee8 00000000 00001440 01000000 02000000 07000000 00000000 00000000 00000000 616c6572 74212121',
  acks: '30000000 f5cc5d94 01030000 16a3b917 07000000 02000000 00000000 00001440 00000000 00001840 02000000 03000000',
  marks: '20000000 86f1378c 01040000 d51ab1c0 07000000 01000000 00000000 00001440',
  definition:
    '1e000000 0863293a 01050000 79e59e45 03000000 03000000 6b657976 616c0000 1e000000 f15517b8 01050000 aac9afbc 03000000 03000000 6b657976 616c0000',
  removal:
    '1b000000 dade2580 01050000 5ef3ae04 03000000 ffffffff 6b657900 00000000 1b000000 fbe72666 01050000 208737e0 03000000 ffffffff 6b657900 00000000',
  dropped: '20000000 ba458f9a 01060000 6a620e26 07000000 00000000 0000c000 0100d841',
  header:
    '544f4353 494e4c47 01000000 03000000 01020304 05060708 00000000 00002240 02000000 69f1a267 00000000 00000000 00000000 00000000 00000000 00000000',
};
