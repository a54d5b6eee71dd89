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

/** What becomes of the payload at `start` to `end`; undefined when nothing can. */
export type MakeOfPayload<Value> = (bytes: Buffer, start: number, end: number) => Value | undefined;

interface Request<Value> {
  positions: ArrayLike<Position>;
  sizes: ArrayLike<number>;
  /** In the order of the positions. */
  values: (Value | undefined)[];
  make: MakeOfPayload<Value>;
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

  read(positions: ArrayLike<Position>, sizes: ArrayLike<number>): Promise<(Buffer | undefined)[]> {
    return this.readEach(positions, sizes, (bytes, start, end) => bytes.subarray(start, end));
  }

  /** Each payload as `make` gives it, which is handed the place where it lies. */
  async readEach<Value>(
    positions: ArrayLike<Position>,
    sizes: ArrayLike<number>,
    make: MakeOfPayload<Value>,
  ): Promise<(Value | undefined)[]> {
    const values = new Array<Value | undefined>(positions.length).fill(undefined);
    const request = { positions, sizes, values, make };
    const runs = this.plan(request);
    await Promise.all(runs.map((run) => this.readRun(run, request)));
    return values;
  }

  /** Takes from memory what is not in a file yet, and groups the rest. Marks the segments as being read before anything else can happen. */
  private plan<Value>({ positions, sizes, values, make }: Request<Value>): Run[] {
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
        values[index] = this.valueAt(block.bytes, offset - block.start, segment, offset, sizes[index]!, true, make);
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

  private async readRun<Value>(run: Run, { positions, sizes, values, make }: Request<Value>): Promise<void> {
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
        const size = sizes[index]!;
        const length = this.lengthAt(present, offset - from, segment, offset);
        const isCut = length !== undefined && offset - from + length > present.length;
        if (isCut) {
          const record = await this.readAlone(file, offset, length);
          values[index] = this.valueAt(record, 0, segment, offset, size, !isDense, make);
        } else {
          values[index] = this.valueOf(present, offset - from, length, segment, offset, size, !isDense, make);
        }
      }
    } catch (error) {
      const { message } = asError(error);
      for (const index of wanted) {
        if (values[index] === undefined)
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

  /** What becomes of the message record at `at`; undefined, and reported, when it does not hold. */
  private valueAt<Value>(
    bytes: Buffer,
    at: number,
    segment: Segment,
    offset: number,
    size: number,
    isCopied: boolean,
    make: MakeOfPayload<Value>,
  ): Value | undefined {
    const length = this.lengthAt(bytes, at, segment, offset);
    return this.valueOf(bytes, at, length, segment, offset, size, isCopied, make);
  }

  /** The same with the record's length, as `lengthAt` has it. */
  private valueOf<Value>(
    bytes: Buffer,
    at: number,
    length: number | undefined,
    segment: Segment,
    offset: number,
    size: number,
    isCopied: boolean,
    make: MakeOfPayload<Value>,
  ): Value | undefined {
    const isWhole = length !== undefined && at + length <= bytes.length;
    if (!isWhole || crcOf(bytes, at, length, segment.seed, offset) !== uint32At(bytes, at + 4)) {
      this.noteDamage(segment.number, offset, size, 'the record does not match its checksum');
      return undefined;
    }
    const from = at + MESSAGE_FIXED_BYTES + uint32At(bytes, at + 24) * PLACEMENT_BYTES;
    if (at + length - from !== size) {
      this.noteDamage(segment.number, offset, size, `the payload has ${at + length - from} bytes instead of ${size}`);
      return undefined;
    }
    if (!isCopied) return make(bytes, from, from + size);
    const payload = Buffer.allocUnsafe(size);
    bytes.copy(payload, 0, from, from + size);
    return make(payload, 0, size);
  }

  private lengthAt(bytes: Buffer, at: number, segment: Segment, offset: number): number | undefined {
    if (at + RECORD_HEADER_BYTES > bytes.length) return undefined;
    const length = uint32At(bytes, at);
    const word = uint32At(bytes, at + 8);
    const kind = (word >>> 8) & 0xff;
    const isMessage = kind === KIND.message || kind === KIND.moved;
    if (!isMessage || length < MESSAGE_FIXED_BYTES) return undefined;
    return uint32At(bytes, at + 12) === recordCheck(length, word, offset, segment.seed) ? length : undefined;
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

function crcOf(bytes: Buffer, at: number, length: number, seed: number, offset: number): number {
  return recordCrc(new Uint8Array(bytes.buffer, bytes.byteOffset + at + 8, length - 8), seed, offset);
}

function uint32At(bytes: Buffer, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
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
