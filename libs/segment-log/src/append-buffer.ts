import { align8, KIND, SYNCED_BYTES, sealRecord } from './layout.js';
import type { Segment } from './segment.js';

export const BLOCK_BYTES = 1024 * 1024;
/** Empty blocks kept for reuse; more than these exist only while the disk is behind. */
const FREE_BLOCKS_MAX = 8;
/** Most that one write takes, so that a sync is never asked to carry everything at once. */
const WRITE_BYTES_MAX = 16 * 1024 * 1024;
const WRITE_PIECES_MAX = 64;

/** A stretch of one segment in memory: bytes up to `filled` stand, up to `taken` are handed to a write, up to `written` are in the file. */
export class Block {
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  /** Offset of the first byte in the segment's file. */
  start = 0;
  filled = 0;
  taken = 0;
  written = 0;
  /** Log offset after the last record in here. */
  logEnd = 0;
  /** Indexes of synced-records whose value is filled in when they are taken. */
  readonly openMarks: number[] = [];

  constructor(
    readonly bytes: Buffer,
    public segment: Segment,
  ) {
    this.words = new Uint32Array(bytes.buffer);
    this.doubles = new Float64Array(bytes.buffer);
  }
}

/** What one write puts into one segment. */
export interface WriteBatch {
  segment: Segment;
  buffers: Uint8Array[];
  /** Of the first byte, in the segment's file. */
  offset: number;
  bytes: number;
  /** Log offset that is durable once this is synced. */
  logEnd: number;
  /** The segment ends here: it must be synced before the next one is begun. */
  endsSegment: boolean;
}

/** Everything appended and not yet in its file, in order. Its size is bounded by whoever pauses publishers on unsynced bytes. */
export class AppendBuffer {
  private readonly blocks: Block[] = [];
  private readonly free: Buffer[] = [allocateBlock(BLOCK_BYTES), allocateBlock(BLOCK_BYTES)];
  /** The block that the last `reserve` was in. */
  current: Block | undefined;
  /** Nothing was reserved since the last `take`: the next record begins a batch. */
  atBatchStart = true;
  private taken: Block[] = [];

  get isEmpty(): boolean {
    return this.blocks.every((block) => block.taken === block.filled);
  }

  /** Room for `bytes` (a multiple of 8) at the end of the segment; returns the index in `current.bytes`. */
  reserve(segment: Segment, bytes: number): number {
    let block = this.current;
    if (block === undefined || block.segment !== segment || block.filled + bytes > block.bytes.length) {
      block = this.nextBlock(segment, bytes);
    }
    const at = block.filled;
    block.filled += bytes;
    segment.size += bytes;
    return at;
  }

  /** Puts finished bytes (a multiple of 8, starting an ArrayBuffer) at the end of the segment without copying them. */
  add(segment: Segment, bytes: Buffer, logEnd: number): void {
    const block = new Block(bytes, segment);
    block.start = segment.size;
    block.filled = bytes.length;
    block.logEnd = logEnd;
    segment.size += bytes.length;
    this.blocks.push(block);
    this.current = block;
  }

  /** Leaves room for the record that tells how far this segment was synced; `take` fills it in. */
  addSyncedRecord(segment: Segment): void {
    const at = this.reserve(segment, align8(SYNCED_BYTES));
    this.current!.openMarks.push(at);
    this.atBatchStart = false;
  }

  /** The next bytes to write, all of one segment; undefined when there are none. One batch may be out at a time. */
  take(): WriteBatch | undefined {
    const first = this.blocks.findIndex((block) => block.taken < block.filled);
    const opening = this.blocks[first];
    if (opening === undefined) return undefined;

    const { segment } = opening;
    const batch: WriteBatch = {
      segment,
      buffers: [],
      offset: opening.start + opening.taken,
      bytes: 0,
      logEnd: 0,
      endsSegment: false,
    };
    this.taken = [];
    let index = first;
    for (; index < this.blocks.length; index++) {
      const block = this.blocks[index]!;
      if (block.segment !== segment) break;
      if (batch.buffers.length === WRITE_PIECES_MAX || batch.bytes >= WRITE_BYTES_MAX) break;
      fillSyncedRecords(block);
      batch.buffers.push(block.bytes.subarray(block.taken, block.filled));
      batch.bytes += block.filled - block.taken;
      batch.logEnd = block.logEnd;
      block.taken = block.filled;
      this.taken.push(block);
    }
    const following = this.blocks[index];
    batch.endsSegment = following !== undefined && following.segment !== segment;
    if (following === undefined) this.atBatchStart = true;
    return batch;
  }

  /** The batch taken last is in its file. */
  releaseTaken(): void {
    for (const block of this.taken) block.written = block.taken;
    this.taken = [];
    while (this.blocks.length > 0) {
      const block = this.blocks[0]!;
      if (block.written < block.filled) return;
      if (block === this.current && block.filled < BLOCK_BYTES / 2) return;
      this.blocks.shift();
      if (block === this.current) this.current = undefined;
      if (block.bytes.length === BLOCK_BYTES && this.free.length < FREE_BLOCKS_MAX) this.free.push(block.bytes);
    }
  }

  /** The block that still holds this place of the segment, and whose file may not have it yet. */
  find(segment: Segment, offset: number): Block | undefined {
    return this.blocks.find(
      (block) => block.segment === segment && offset >= block.start && offset < block.start + block.filled,
    );
  }

  private nextBlock(segment: Segment, bytes: number): Block {
    const buffer = bytes > BLOCK_BYTES ? allocateBlock(bytes) : (this.free.pop() ?? allocateBlock(BLOCK_BYTES));
    const block = new Block(buffer, segment);
    block.start = segment.size;
    this.blocks.push(block);
    this.current = block;
    return block;
  }
}

/** Buffers here start their ArrayBuffer, so that typed arrays can lie over them. */
const allocateBlock = (bytes: number): Buffer => Buffer.from(new ArrayBuffer(align8(bytes)));

function fillSyncedRecords(block: Block): void {
  for (const at of block.openMarks) {
    block.words[(at >>> 2) + 4] = block.segment.synced;
    block.words[(at >>> 2) + 5] = 0;
    sealRecord(block.bytes, block.words, at, SYNCED_BYTES, KIND.synced, 0, block.start + at, block.segment.seed);
  }
  block.openMarks.length = 0;
}
