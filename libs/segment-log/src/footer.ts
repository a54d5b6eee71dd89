/**
 * The footer of a sealed segment, so that a start reads it instead of the bodies.
 *
 *   16 u32 which optional columns are there | 20 u32 snapshot count | 24 f64 highest sequence
 *   32 u32 placements | 36 u32 acks | 40 u32 marks | 44 u32 drops | 48 u32 definitions | 52 u32 snapshot records found
 *   56 columns, one after the other, each padded to 8:
 *      placements  f64 sequence | f64 expiresAt (1) | u32 offset | u32 size | u32 queue | u32 source (2) | u8 flags (4)
 *      acks        f64 sequence | u32 queue | u32 target
 *      marks       f64 sequence | u32 queue
 *      drops       f64 before | u32 queue
 *      definitions u32 offset
 *   A column with a number in brackets is left out when it is all zero; that number is its bit in the word at 16.
 */
import { SegmentContents } from './contents.js';
import { align8, KIND, RECORD_HEADER_BYTES, sealRecord, TRAILER_BYTES } from './layout.js';

const FIXED_BYTES = 56;
const HAS_EXPIRY = 1;
const HAS_SOURCES = 2;
const HAS_FLAGS = 4;

type ColumnArray = Float64Array | Uint32Array | Uint8Array;

/** The footer record and the trailer record behind it, as they stand at `offset` of the segment's file. */
export function encodeFooter(
  contents: SegmentContents,
  segment: number,
  identity: Buffer,
  offset: number,
  seed: number,
): Buffer {
  const { placements, acks, marks, drops, definitions } = contents;
  const optional =
    (isZero(placements.expiresAt, placements.count) ? 0 : HAS_EXPIRY) |
    (isZero(placements.sources, placements.count) ? 0 : HAS_SOURCES) |
    (isZero(placements.flags, placements.count) ? 0 : HAS_FLAGS);
  const columns = columnsOf(contents, optional);

  let length = FIXED_BYTES;
  for (const [column, count] of columns) length += align8(column.BYTES_PER_ELEMENT * count);

  const bytes = Buffer.from(new ArrayBuffer(align8(length) + TRAILER_BYTES));
  const words = new Uint32Array(bytes.buffer);
  words[4] = optional;
  words[5] = contents.snapshotCount;
  new Float64Array(bytes.buffer)[3] = contents.lastSequence;
  words.set([placements.count, acks.count, marks.count, drops.count, definitions.count], 8);

  let at = FIXED_BYTES;
  for (const [column, count] of columns) {
    const used = column.BYTES_PER_ELEMENT * count;
    bytes.set(new Uint8Array(column.buffer, column.byteOffset, used), at);
    at += align8(used);
  }
  sealRecord(bytes, words, 0, length, KIND.footer, 0, offset, seed);

  const trailer = align8(length);
  words[(trailer >>> 2) + 4] = offset;
  words[(trailer >>> 2) + 5] = segment;
  identity.copy(bytes, trailer + RECORD_HEADER_BYTES + 8);
  sealRecord(bytes, words, trailer, TRAILER_BYTES, KIND.trailer, 0, offset + trailer, seed);
  return bytes;
}

/** Takes a footer record whose CRC has been checked. `bytes` starts an ArrayBuffer of its own, which the contents keep. */
export function decodeFooter(bytes: Uint8Array): SegmentContents {
  const words = new Uint32Array(bytes.buffer, 0, FIXED_BYTES >>> 2);
  const contents = new SegmentContents();
  const optional = words[4]!;
  contents.snapshotCount = words[5]!;
  contents.lastSequence = new Float64Array(bytes.buffer, 24, 1)[0]!;
  const { placements, acks, marks, drops, definitions } = contents;
  placements.count = words[8]!;
  acks.count = words[9]!;
  marks.count = words[10]!;
  drops.count = words[11]!;
  definitions.count = words[12]!;

  let at = FIXED_BYTES;
  const place = (width: number, count: number): number => {
    const start = at;
    at += align8(width * count);
    return start;
  };
  const doubles = (count: number) =>
    new Float64Array(bytes.buffer, place(8, count), count) as Float64Array<ArrayBuffer>;
  const integers = (count: number) => new Uint32Array(bytes.buffer, place(4, count), count) as Uint32Array<ArrayBuffer>;
  const rows = placements.count;
  placements.sequences = doubles(rows);
  placements.expiresAt = optional & HAS_EXPIRY ? doubles(rows) : new Float64Array(rows);
  placements.offsets = integers(rows);
  placements.sizes = integers(rows);
  placements.queues = integers(rows);
  placements.sources = optional & HAS_SOURCES ? integers(rows) : new Uint32Array(rows);
  placements.flags =
    optional & HAS_FLAGS
      ? (new Uint8Array(bytes.buffer, place(1, rows), rows) as Uint8Array<ArrayBuffer>)
      : new Uint8Array(rows);
  acks.sequences = doubles(acks.count);
  acks.queues = integers(acks.count);
  acks.targets = integers(acks.count);
  marks.sequences = doubles(marks.count);
  marks.queues = integers(marks.count);
  drops.befores = doubles(drops.count);
  drops.queues = integers(drops.count);
  definitions.offsets = integers(definitions.count);
  return contents;
}

function columnsOf(contents: SegmentContents, optional: number): [ColumnArray, number][] {
  const { placements, acks, marks, drops, definitions } = contents;
  const columns: [ColumnArray, number][] = [[placements.sequences, placements.count]];
  if (optional & HAS_EXPIRY) columns.push([placements.expiresAt, placements.count]);
  columns.push([placements.offsets, placements.count]);
  columns.push([placements.sizes, placements.count]);
  columns.push([placements.queues, placements.count]);
  if (optional & HAS_SOURCES) columns.push([placements.sources, placements.count]);
  if (optional & HAS_FLAGS) columns.push([placements.flags, placements.count]);
  columns.push([acks.sequences, acks.count], [acks.queues, acks.count], [acks.targets, acks.count]);
  columns.push([marks.sequences, marks.count], [marks.queues, marks.count]);
  columns.push([drops.befores, drops.count], [drops.queues, drops.count]);
  columns.push([definitions.offsets, definitions.count]);
  return columns;
}

function isZero(column: ColumnArray, count: number): boolean {
  for (let row = 0; row < count; row++) if (column[row] !== 0) return false;
  return true;
}
