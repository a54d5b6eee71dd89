import type { AppendBuffer } from './append-buffer.js';
import { type FileLayer, readAt } from './file-layer.js';
import {
  align8,
  KIND,
  MESSAGE_FIXED_BYTES,
  offsetOf,
  PLACEMENT_BYTES,
  RECORD_HEADER_BYTES,
  recordCheck,
  recordCrc,
  segmentFileName,
  segmentOf,
} from './layout.js';
import type { Segment } from './segment.js';
import { asError, type SegmentFiles } from './segment-files.js';
import type { Segments } from './segments.js';
import type { Finding, Position } from './types.js';

/** Most that one read brings in for neighbouring messages. */
const READ_BYTES_MAX = 1024 * 1024;
/** Messages closer than this are read together with what lies between. */
const READ_GAP_MAX = 64 * 1024;
/** When at least this share of a read was asked for, payloads are slices of it; else each is copied. */
const DENSE_SHARE = 0.5;
/** Read behind each payload's guessed end, since only the record tells how many queues it went to. */
const PLACEMENTS_GUESSED = 16;
/** Read buffers kept for reuse. */
const SPARE_BUFFERS_MAX = 4;

/** Neighbouring messages of one segment that one read brings in. */
interface Run {
  segment: Segment;
  from: number;
  to: number;
  /** Indexes into the caller's arrays. */
  wanted: number[];
  wantedBytes: number;
}

export interface BodyReaderParts {
  files: FileLayer;
  segmentFiles: SegmentFiles;
  segments: Segments;
  buffer: AppendBuffer;
  /** The last read of a segment that is to go is done. */
  onUnread(): void;
  onDamaged(finding: Finding): void;
}

/**
 * Brings payloads back. Neighbours that were read together are slices of one piece of at most `READ_BYTES_MAX`, when most of it was asked
 * for: whoever keeps one keeps the piece, and must count it. A payload among others that nobody asked for is copied out.
 */
export class BodyReader {
  damagedReads = 0;
  private readonly spare: Buffer[] = [];

  constructor(private readonly parts: BodyReaderParts) {}

  async read(positions: ArrayLike<Position>, sizes: ArrayLike<number>): Promise<(Buffer | undefined)[]> {
    const payloads = new Array<Buffer | undefined>(positions.length).fill(undefined);
    const runs = this.plan(positions, sizes, payloads);
    await Promise.all(runs.map((run) => this.readRun(run, positions, sizes, payloads)));
    return payloads;
  }

  /** Takes from memory what is not in a file yet, and groups the rest. Marks the segments as being read before anything else can happen. */
  private plan(positions: ArrayLike<Position>, sizes: ArrayLike<number>, payloads: (Buffer | undefined)[]): Run[] {
    const runs: Run[] = [];
    let run: Run | undefined;
    for (const index of ascending(positions)) {
      const position = positions[index]!;
      const offset = offsetOf(position);
      const segment =
        run?.segment.number === segmentOf(position) ? run.segment : this.parts.segments.find(segmentOf(position));
      if (segment === undefined) {
        this.noteDamage(segmentOf(position), offset, sizes[index]!, 'its segment is gone');
        continue;
      }
      const block = offset >= segment.written ? this.parts.buffer.find(segment, offset) : undefined;
      if (block !== undefined) {
        payloads[index] = this.payloadAt(block.bytes, offset - block.start, segment, offset, sizes[index]!, true);
        continue;
      }
      const end = offset + align8(MESSAGE_FIXED_BYTES + PLACEMENTS_GUESSED * PLACEMENT_BYTES + sizes[index]!);
      if (run?.segment === segment && offset - run.to <= READ_GAP_MAX && end - run.from <= READ_BYTES_MAX) {
        run.to = Math.max(run.to, end);
        run.wanted.push(index);
        run.wantedBytes += sizes[index]!;
      } else {
        run = { segment, from: offset, to: end, wanted: [index], wantedBytes: sizes[index]! };
        segment.readers++;
        runs.push(run);
      }
    }
    return runs;
  }

  private async readRun(
    run: Run,
    positions: ArrayLike<Position>,
    sizes: ArrayLike<number>,
    payloads: (Buffer | undefined)[],
  ): Promise<void> {
    const { segment, from, to, wanted } = run;
    const isDense = run.wantedBytes >= (to - from) * DENSE_SHARE;
    const bytes = isDense ? Buffer.allocUnsafeSlow(to - from) : this.takeBuffer(to - from);
    let file: number | undefined;
    try {
      file = await this.parts.segmentFiles.acquire(segment);
      const view = bytes.subarray(0, to - from);
      const present = view.subarray(0, await readAt(this.parts.files, file, view, from));
      for (const index of wanted) {
        const offset = offsetOf(positions[index]!);
        const length = this.lengthAt(present, offset - from, segment, offset);
        const isCut = length !== undefined && offset - from + length > present.length;
        const record = isCut ? await this.readAlone(file, offset, length) : present;
        payloads[index] = this.payloadAt(record, isCut ? 0 : offset - from, segment, offset, sizes[index]!, !isDense);
      }
    } catch (error) {
      const { message } = asError(error);
      for (const index of wanted) {
        if (payloads[index] === undefined)
          this.noteDamage(segment.number, offsetOf(positions[index]!), sizes[index]!, message);
      }
    } finally {
      if (file !== undefined) this.parts.segmentFiles.release(segment.number);
      segment.readers--;
      if (segment.readers === 0 && segment.isToGo) this.parts.onUnread();
      if (!isDense && bytes.length === READ_BYTES_MAX && this.spare.length < SPARE_BUFFERS_MAX) this.spare.push(bytes);
    }
  }

  private async readAlone(file: number, offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, await readAt(this.parts.files, file, bytes, offset));
  }

  /** The payload of the message record at `at`; undefined, and reported, when it does not hold. */
  private payloadAt(
    bytes: Buffer,
    at: number,
    segment: Segment,
    offset: number,
    size: number,
    isCopied: boolean,
  ): Buffer | undefined {
    const length = this.lengthAt(bytes, at, segment, offset);
    const isWhole = length !== undefined && at + length <= bytes.length;
    if (
      !isWhole ||
      recordCrc(bytes.subarray(at + 8, at + length), segment.seed, offset) !== bytes.readUInt32LE(at + 4)
    ) {
      this.noteDamage(segment.number, offset, size, 'the record does not match its checksum');
      return undefined;
    }
    const from = at + MESSAGE_FIXED_BYTES + bytes.readUInt32LE(at + 24) * PLACEMENT_BYTES;
    if (at + length - from !== size) {
      this.noteDamage(segment.number, offset, size, `the payload has ${at + length - from} bytes instead of ${size}`);
      return undefined;
    }
    if (!isCopied) return bytes.subarray(from, from + size);
    const payload = Buffer.allocUnsafe(size);
    bytes.copy(payload, 0, from, from + size);
    return payload;
  }

  private lengthAt(bytes: Buffer, at: number, segment: Segment, offset: number): number | undefined {
    if (at + RECORD_HEADER_BYTES > bytes.length) return undefined;
    const length = bytes.readUInt32LE(at);
    const word = bytes.readUInt32LE(at + 8);
    const kind = (word >>> 8) & 0xff;
    const isMessage = kind === KIND.message || kind === KIND.moved;
    if (!isMessage || length < MESSAGE_FIXED_BYTES) return undefined;
    return bytes.readUInt32LE(at + 12) === recordCheck(length, word, offset, segment.seed) ? length : undefined;
  }

  private noteDamage(segment: number, offset: number, bytes: number, says: string): void {
    this.damagedReads++;
    this.parts.onDamaged({
      letter: 'R',
      file: segmentFileName(segment),
      offset,
      bytes,
      says: `message unreadable: ${says}`,
    });
  }

  private takeBuffer(bytes: number): Buffer {
    return bytes > READ_BYTES_MAX
      ? Buffer.allocUnsafe(bytes)
      : (this.spare.pop() ?? Buffer.allocUnsafe(READ_BYTES_MAX));
  }
}

/** Indexes in the order of their positions, which is nearly always the order given. */
function ascending(positions: ArrayLike<Position>): number[] {
  const indexes = Array.from({ length: positions.length }, (_, index) => index);
  for (let index = 1; index < positions.length; index++) {
    if (positions[index]! < positions[index - 1]!)
      return indexes.sort((one, other) => positions[one]! - positions[other]!);
  }
  return indexes;
}
