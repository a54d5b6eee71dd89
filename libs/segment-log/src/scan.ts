import { type Savepoint, SegmentContents } from './contents.js';
import type { FileLayer } from './file-layer.js';
import {
  align8,
  KIND,
  LIST_FIXED_BYTES,
  MESSAGE_FIXED_BYTES,
  PLACEMENT_BYTES,
  RECORD_HEADER_BYTES,
  RECORDS_AT,
} from './layout.js';
import { RecordWindow } from './record-window.js';

/** Bytes that are no valid record. */
export interface BadRegion {
  from: number;
  to: number;
  /** How it goes on behind the region. */
  next: 'records' | 'end';
  isZero: boolean;
  /** What the contents were before it. */
  before: Savepoint;
}

export interface Scan {
  contents: SegmentContents;
  regions: BadRegion[];
  records: number;
  /** Below this offset everything was synced, as the records that are still there say. */
  syncedUpTo: number;
  /** The file ends with a footer and its trailer. */
  isSealed: boolean;
}

/** Reads every record of a segment that has no usable footer; finds its way back after damaged ones. */
export async function scanSegment(files: FileLayer, file: number, size: number, seed: number): Promise<Scan> {
  const window = new RecordWindow(files, file, size, seed);
  const scan: Scan = { contents: new SegmentContents(), regions: [], records: 0, syncedUpTo: 0, isSealed: false };
  let offset = RECORDS_AT;
  while (offset + RECORD_HEADER_BYTES <= size) {
    if (!window.has(offset, RECORD_HEADER_BYTES)) await window.load(offset, RECORD_HEADER_BYTES);
    const head = window.headAt(offset);
    if (head !== undefined && !window.has(offset, head.length)) await window.load(offset, head.length);

    const isGood = head !== undefined && window.bodyHolds(offset, head.length);
    const next =
      head !== undefined ? Math.min(offset + align8(head.length), size) : await findNextRecord(window, offset);
    if (isGood) {
      takeRecord(window, offset, head.kind, head.length, scan);
      scan.records++;
    } else {
      scan.regions.push(await badRegion(window, offset, next, scan.contents));
    }
    scan.isSealed = isGood && head.kind === KIND.trailer && next === size;
    offset = next;
  }
  if (offset < size) scan.regions.push(await badRegion(window, offset, size, scan.contents));
  return scan;
}

/** Offset of the next record header that holds, or the end of the file. */
async function findNextRecord(window: RecordWindow, from: number): Promise<number> {
  for (let offset = from + 8; offset + RECORD_HEADER_BYTES <= window.size; offset += 8) {
    if (!window.has(offset, RECORD_HEADER_BYTES)) await window.load(offset, RECORD_HEADER_BYTES);
    const head = window.headAt(offset);
    if (head === undefined) continue;
    if (!window.has(offset, head.length)) await window.load(offset, head.length);
    if (window.bodyHolds(offset, head.length)) return offset;
  }
  return window.size;
}

async function badRegion(
  window: RecordWindow,
  from: number,
  to: number,
  contents: SegmentContents,
): Promise<BadRegion> {
  const next = to === window.size ? 'end' : 'records';
  return { from, to, next, isZero: await isZero(window, from, to), before: contents.savepoint() };
}

async function isZero(window: RecordWindow, from: number, to: number): Promise<boolean> {
  for (let offset = from; offset < to; ) {
    if (!window.has(offset, 1)) await window.load(offset - (offset % 8), 8);
    if (!window.has(offset, 1)) return true; // the file got shorter; nothing is there
    const end = Math.min(to, window.end);
    for (; offset < end; offset++) if (window.bytes[offset - window.start] !== 0) return false;
  }
  return true;
}

function takeRecord(window: RecordWindow, offset: number, kind: number, length: number, scan: Scan): void {
  const { words, doubles } = window;
  const { contents } = scan;
  const at = offset - window.start;
  const word = at >>> 2;
  switch (kind) {
    case KIND.message:
    case KIND.moved: {
      const sequence = doubles[(at + 16) >>> 3]!;
      const placements = words[word + 6]!;
      const source = words[word + 7]!;
      const size = length - MESSAGE_FIXED_BYTES - placements * PLACEMENT_BYTES;
      for (let row = 0; row < placements; row++) {
        const placement = (at + MESSAGE_FIXED_BYTES + row * PLACEMENT_BYTES) >>> 2;
        const expiresAt = doubles[(placement + 2) >>> 1]!;
        contents.placements.add(sequence, offset, size, words[placement]!, expiresAt, words[placement + 1]!, source);
      }
      if (sequence > contents.lastSequence) contents.lastSequence = sequence;
      return;
    }
    case KIND.acks: {
      const count = words[word + 5]!;
      const first = (at + LIST_FIXED_BYTES) >>> 3;
      const targets = (at + LIST_FIXED_BYTES + count * 8) >>> 2;
      for (let row = 0; row < count; row++) {
        const sequence = doubles[first + row]!;
        contents.acks.add(words[word + 4]!, sequence, words[targets + row]!);
        if (sequence > contents.lastSequence) contents.lastSequence = sequence;
      }
      return;
    }
    case KIND.marks: {
      const count = words[word + 5]!;
      const first = (at + LIST_FIXED_BYTES) >>> 3;
      for (let row = 0; row < count; row++) contents.marks.add(words[word + 4]!, doubles[first + row]!);
      return;
    }
    case KIND.definition:
      contents.definitions.add(offset);
      return;
    case KIND.dropped:
      contents.drops.add(words[word + 4]!, doubles[(at + 24) >>> 3]!);
      return;
    case KIND.synced:
      scan.syncedUpTo = Math.max(scan.syncedUpTo, words[word + 4]!);
      return;
    default: // footer and trailer repeat what the records say
      return;
  }
}
