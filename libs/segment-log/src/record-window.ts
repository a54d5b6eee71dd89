import { type FileLayer, readAt } from './file-layer.js';
import { align8, KIND_MAX, RECORD_HEADER_BYTES, RECORD_VERSION, recordCheck, recordCrc } from './layout.js';

const WINDOW_BYTES = 1024 * 1024;

/** A valid header whose body may still be damaged. */
export interface RecordHead {
  length: number;
  kind: number;
  flags: number;
}

/**
 * Reads records of one file front to back through a buffer that slides over it, so that a scan needs no more memory than its
 * largest record. Offsets are the file's; `words`, `doubles` and `bytes` are indexed from `start`.
 */
export class RecordWindow {
  bytes: Buffer = Buffer.from(new ArrayBuffer(WINDOW_BYTES));
  words = new Uint32Array(this.bytes.buffer);
  doubles = new Float64Array(this.bytes.buffer);
  start = 0;
  private filled = 0;

  constructor(
    private readonly files: FileLayer,
    private readonly file: number,
    readonly size: number,
    private readonly seed: number,
  ) {}

  /** Offset after the last byte in memory. */
  get end(): number {
    return this.start + this.filled;
  }

  has(offset: number, bytes: number): boolean {
    return offset >= this.start && offset + bytes <= this.start + this.filled;
  }

  /** Brings `bytes` from `offset` (a multiple of 8) into memory, and what follows as far as there is room. */
  async load(offset: number, bytes: number): Promise<void> {
    if (bytes > this.bytes.length) {
      this.bytes = Buffer.from(new ArrayBuffer(align8(bytes)));
      this.words = new Uint32Array(this.bytes.buffer);
      this.doubles = new Float64Array(this.bytes.buffer);
    }
    this.start = offset;
    this.filled = await readAt(this.files, this.file, this.bytes, offset);
  }

  /** The header at `offset`, if one of this segment stands there. Needs `has(offset, RECORD_HEADER_BYTES)`. */
  headAt(offset: number): RecordHead | undefined {
    const word = (offset - this.start) >>> 2;
    const length = this.words[word]!;
    const kindWord = this.words[word + 2]!;
    if (this.words[word + 3] !== recordCheck(length, kindWord, offset, this.seed)) return undefined;
    const kind = (kindWord >>> 8) & 0xff;
    const known = (kindWord & 0xff) === RECORD_VERSION && kind >= 1 && kind <= KIND_MAX;
    if (!known || length < RECORD_HEADER_BYTES || offset + length > this.size) return undefined;
    return { length, kind, flags: kindWord >>> 16 };
  }

  /** Needs `has(offset, length)`. */
  bodyHolds(offset: number, length: number): boolean {
    const at = offset - this.start;
    const body = new Uint8Array(this.bytes.buffer, at + 8, length - 8);
    return this.words[(at >>> 2) + 1] === recordCrc(body, this.seed, offset);
  }
}
