import { AppendBuffer, type Block } from './append-buffer.js';
import { SegmentContents } from './contents.js';
import { encodeFooter } from './footer.js';
import {
  align8,
  DROPPED_BYTES,
  encodeSegmentHeader,
  HEADER_COPY_AT,
  IN_SNAPSHOT,
  KIND,
  LIST_FIXED_BYTES,
  MESSAGE_FIXED_BYTES,
  PLACEMENT_BYTES,
  positionOf,
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  RECORDS_AT,
  REMOVED,
  SNAPSHOT_GAP_BYTES,
  SYNCED_BYTES,
  sealRecord,
  seedOf,
  segmentOf,
} from './layout.js';
import { Segment } from './segment.js';
import type { Segments } from './segments.js';
import type { Placement, Position } from './types.js';

/** Sequences in one acks or marks record; longer lists become several records. */
const LIST_MAX = 4096;

/** Below this a loop is quicker than a call into the platform. */
const LOOP_BYTES_MAX = 64;

/**
 * Writes records into the open segment's memory, gathers the segment's contents for its footer, and rolls over to the next
 * segment when one is full. Computes only: nothing here touches a file.
 */
export class Appender {
  /** Log offset after the last record. */
  end = 0;
  open!: Segment;
  readonly contents = new SegmentContents();
  readonly buffer = new AppendBuffer();
  readonly definitions: Map<string, Buffer>;
  lastSequence: number;
  private readonly identity: Buffer;
  private readonly segments: Segments;
  // Where the record under way begins: set by `begin`, used by the writer and by `finish`.
  private block!: Block;
  private at = 0;
  private offset = 0;

  constructor(
    recovered: { identity: Buffer; segments: Segments; definitions: Map<string, Buffer>; lastSequence: number },
    private readonly segmentBytes: number,
    private readonly onOpened: (opened: Segment) => void,
  ) {
    this.identity = recovered.identity;
    this.segments = recovered.segments;
    this.definitions = recovered.definitions;
    this.lastSequence = recovered.lastSequence;
  }

  /** Begins segment `number` with its header and the snapshot of all definitions. */
  openSegment(number: number): void {
    this.contents.clear();
    this.contents.lastSequence = this.lastSequence;
    this.contents.snapshotCount = this.definitions.size;
    const segment = new Segment(number, seedOf(this.identity, number));
    this.open = segment;
    this.segments.add(segment);
    this.onOpened(segment);

    const header = encodeSegmentHeader({
      segment: number,
      identity: this.identity,
      lastSequence: this.lastSequence,
      snapshotCount: this.definitions.size,
    });
    const bytes = Buffer.from(new ArrayBuffer(RECORDS_AT));
    header.copy(bytes, 0);
    header.copy(bytes, HEADER_COPY_AT);
    this.end += bytes.length;
    this.buffer.add(segment, bytes, this.end);
    // The limit holds for what follows the snapshot: many definitions must not make every segment a snapshot and nothing else.
    if (this.definitions.size > 0) this.writeSnapshot();
    segment.snapshotEnd = segment.size;
  }

  /** `source` is the segment a moved message is copied from, 0 for a first copy. */
  message(sequence: number, placements: readonly Placement[], chunks: readonly Uint8Array[], source: number): Position {
    let size = 0;
    for (const chunk of chunks) size += chunk.length;
    const bodyAt = MESSAGE_FIXED_BYTES + placements.length * PLACEMENT_BYTES;
    this.begin(bodyAt + size);
    const { block, at, offset, contents, open } = this;
    let word = (at + MESSAGE_FIXED_BYTES) >>> 2;
    block.doubles[(at + 16) >>> 3] = sequence;
    block.words[(at + 24) >>> 2] = placements.length;
    block.words[(at + 28) >>> 2] = source;
    for (const { queue, flags, expiresAt } of placements) {
      block.words[word] = queue;
      block.words[word + 1] = flags;
      block.doubles[(word + 2) >>> 1] = expiresAt;
      word += PLACEMENT_BYTES >>> 2;
      contents.placements.add(sequence, offset, size, queue, expiresAt, flags, source);
      open.place(queue);
    }
    let to = at + bodyAt;
    for (const chunk of chunks) to = copyInto(block.bytes, to, chunk);
    if (sequence > this.lastSequence) this.noteSequence(sequence);
    this.finish(bodyAt + size, source === 0 ? KIND.message : KIND.moved, 0);
    return positionOf(open.number, offset);
  }

  acks(queue: number, sequences: readonly number[], positions: readonly Position[]): void {
    for (let from = 0; from < sequences.length; from += LIST_MAX) {
      const count = Math.min(LIST_MAX, sequences.length - from);
      const length = LIST_FIXED_BYTES + count * 12;
      this.beginList(length, queue, count, sequences, from);
      const { block, at, contents } = this;
      const targets = (at + LIST_FIXED_BYTES + count * 8) >>> 2;
      for (let index = 0; index < count; index++) {
        const target = segmentOf(positions[from + index]!);
        block.words[targets + index] = target;
        contents.acks.add(queue, sequences[from + index]!, target);
        this.segments.speaksOf(this.open, target);
      }
      this.finish(length, KIND.acks, 0);
    }
  }

  marks(queue: number, sequences: readonly number[]): void {
    for (let from = 0; from < sequences.length; from += LIST_MAX) {
      const count = Math.min(LIST_MAX, sequences.length - from);
      const length = LIST_FIXED_BYTES + count * 8;
      this.beginList(length, queue, count, sequences, from);
      for (let index = 0; index < count; index++) this.contents.marks.add(queue, sequences[from + index]!);
      this.open.marks += count;
      this.finish(length, KIND.marks, 0);
    }
  }

  define(key: string, value: Buffer | undefined): void {
    if (value === undefined) this.definitions.delete(key);
    else this.definitions.set(key, Buffer.from(value));
    this.writeDefinition(key, value, 0);
    this.writeDefinition(key, value, 0);
  }

  /** `before`: placements of the queue before this position are dead; without it, all there are. */
  dropped(queue: number, before?: Position): void {
    this.begin(DROPPED_BYTES);
    const { block, at, offset } = this;
    const limit = before ?? positionOf(this.open.number, offset);
    block.words[(at + 16) >>> 2] = queue;
    block.words[(at + 20) >>> 2] = 0;
    block.doubles[(at + 24) >>> 3] = limit;
    this.contents.drops.add(queue, limit);
    this.segments.speaksOfQueue(this.open, queue, limit);
    this.finish(DROPPED_BYTES, KIND.dropped, 0);
  }

  /** A record that says how far the open segment is synced; nobody waits for it. */
  markEnd(): void {
    this.buffer.addSyncedRecord(this.open);
  }

  /** The same as the log's last record: it counts, so that it can be waited for. */
  markLastEnd(): void {
    this.markEnd();
    this.end += align8(SYNCED_BYTES);
    this.buffer.current!.logEnd = this.end;
  }

  private writeSnapshot(): void {
    for (const [key, value] of this.definitions) this.writeDefinition(key, value, IN_SNAPSHOT);
    this.reserve(SNAPSHOT_GAP_BYTES);
    this.block.bytes.fill(0, this.at + RECORD_HEADER_BYTES, this.at + SNAPSHOT_GAP_BYTES);
    this.finish(SNAPSHOT_GAP_BYTES, KIND.synced, 0);
    for (const [key, value] of this.definitions) this.writeDefinition(key, value, IN_SNAPSHOT);
  }

  private writeDefinition(key: string, value: Buffer | undefined, flags: number): void {
    const keyBytes = Buffer.from(key);
    const length = LIST_FIXED_BYTES + keyBytes.length + (value?.length ?? 0);
    if (flags === IN_SNAPSHOT) this.reserve(length);
    else this.begin(length);
    const { block, at, offset, contents } = this;
    block.words[(at + 16) >>> 2] = keyBytes.length;
    block.words[(at + 20) >>> 2] = value === undefined ? REMOVED : value.length;
    block.bytes.set(keyBytes, at + LIST_FIXED_BYTES);
    if (value !== undefined) block.bytes.set(value, at + LIST_FIXED_BYTES + keyBytes.length);
    contents.definitions.add(offset);
    this.finish(length, KIND.definition, flags);
  }

  private beginList(length: number, queue: number, count: number, sequences: readonly number[], from: number): void {
    this.begin(length);
    const { block, at } = this;
    block.words[(at + 16) >>> 2] = queue;
    block.words[(at + 20) >>> 2] = count;
    const first = (at + LIST_FIXED_BYTES) >>> 3;
    for (let index = 0; index < count; index++) block.doubles[first + index] = sequences[from + index]!;
  }

  private begin(length: number): void {
    if (length > RECORD_BYTES_MAX) {
      throw new RangeError(`a record of ${length} bytes does not fit the log; the most is ${RECORD_BYTES_MAX}`);
    }
    const { open } = this;
    const used = open.size - open.snapshotEnd;
    if (used > 0 && used + length > this.segmentBytes) this.rollOver();
    if (this.buffer.atBatchStart) this.buffer.addSyncedRecord(this.open);
    this.reserve(length);
  }

  private reserve(length: number): void {
    this.offset = this.open.size;
    this.at = this.buffer.reserve(this.open, align8(length));
    this.block = this.buffer.current!;
  }

  private finish(length: number, kind: number, flags: number): void {
    const { block } = this;
    this.end += align8(length);
    block.logEnd = this.end;
    sealRecord(block.bytes, block.words, this.at, length, kind, flags, this.offset, this.open.seed);
  }

  private rollOver(): void {
    const full = this.open;
    const footer = encodeFooter(this.contents, full.number, this.identity, full.size, full.seed);
    this.end += footer.length;
    full.footerAt = full.size;
    this.buffer.add(full, footer, this.end);
    full.seal(this.segmentBytes);
    this.openSegment(full.number + 1);
  }

  private noteSequence(sequence: number): void {
    this.lastSequence = sequence;
    this.contents.lastSequence = sequence;
  }
}

/** Returns the offset behind the copy. */
function copyInto(target: Buffer, at: number, bytes: Uint8Array): number {
  const { length } = bytes;
  if (length <= LOOP_BYTES_MAX) for (let index = 0; index < length; index++) target[at + index] = bytes[index]!;
  else target.set(bytes, at);
  return at + length;
}
