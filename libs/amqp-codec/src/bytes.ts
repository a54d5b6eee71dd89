import { CodecError } from './errors.js';
import { decodeText, encodeTextInto, textBytes } from './text.js';

/** Reads big-endian fields from a part of a buffer; running past its end is a syntax error. */
export class ByteReader {
  constructor(
    readonly bytes: Buffer,
    public offset = 0,
    readonly end = bytes.length,
  ) {}

  /** Reserves `count` bytes and returns where they begin. */
  take(count: number): number {
    const start = this.offset;
    if (count > this.end - start) {
      throw new CodecError('syntax', `a field of ${count} bytes runs past the end: ${this.end - start} bytes are left`);
    }
    this.offset = start + count;
    return start;
  }

  get isAtEnd(): boolean {
    return this.offset === this.end;
  }

  uint8(): number {
    return this.bytes[this.take(1)]!;
  }

  uint16(): number {
    return this.bytes.readUInt16BE(this.take(2));
  }

  uint32(): number {
    return this.bytes.readUInt32BE(this.take(4));
  }

  uint64(): bigint {
    return this.bytes.readBigUInt64BE(this.take(8));
  }

  shortString(): string {
    const length = this.uint8();
    const start = this.take(length);
    return decodeText(this.bytes, start, start + length);
  }

  longText(): string {
    const length = this.uint32();
    const start = this.take(length);
    return decodeText(this.bytes, start, start + length);
  }

  longBytes(): Buffer {
    const length = this.uint32();
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }
}

const SHORT_STRING_BYTES_MAX = 255;

/** Collects big-endian fields in a buffer that grows as needed. */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#bytes = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** The written bytes; a view, valid until the next write. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** The written bytes as a buffer of their own. */
  copy(): Buffer {
    return Buffer.from(this.view());
  }

  uint8(value: number): void {
    const at = this.#room(1);
    this.#bytes[at] = value;
  }

  uint16(value: number): void {
    const at = this.#room(2);
    this.#bytes.writeUInt16BE(value & 0xffff, at);
  }

  uint32(value: number): void {
    const at = this.#room(4);
    this.#bytes.writeUInt32BE(value >>> 0, at);
  }

  uint64(value: bigint): void {
    const at = this.#room(8);
    this.#bytes.writeBigUInt64BE(BigInt.asUintN(64, value), at);
  }

  float(value: number): void {
    const at = this.#room(4);
    this.#bytes.writeFloatBE(value, at);
  }

  double(value: number): void {
    const at = this.#room(8);
    this.#bytes.writeDoubleBE(value, at);
  }

  shortString(text: string): void {
    const length = textBytes(text);
    if (length > SHORT_STRING_BYTES_MAX) {
      throw new CodecError('syntax', `a short string holds at most ${SHORT_STRING_BYTES_MAX} bytes, not ${length}`);
    }
    this.uint8(length);
    const at = this.#room(length);
    encodeTextInto(this.#bytes, at, text);
  }

  longText(text: string): void {
    const length = textBytes(text);
    this.uint32(length);
    const at = this.#room(length);
    encodeTextInto(this.#bytes, at, text);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  longBytes(bytes: Uint8Array): void {
    this.uint32(bytes.length);
    this.raw(bytes);
  }

  /** Writes what `write` writes behind a 32-bit count of its bytes. */
  measured(write: () => void): void {
    const lengthAt = this.#room(4);
    const start = this.#length;
    write();
    this.#bytes.writeUInt32BE(this.#length - start, lengthAt);
  }

  #room(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.view());
      this.#bytes = grown;
    }
    this.#length = needed;
    return at;
  }
}
