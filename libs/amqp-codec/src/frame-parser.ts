import { CodecError } from './errors.js';
import { FRAME_END, FRAME_HEAD_BYTES, FRAME_OVERHEAD } from './frames.js';

/** `start` to `end` is the payload inside `bytes`, which is never written again: slices of it may be kept. Must not throw. */
export type OnFrame = (type: number, channel: number, bytes: Buffer, start: number, end: number) => void;

/** Clients get the limit off by one frame's overhead; RabbitMQ lets that pass. */
const FRAME_MAX_TOLERANCE_BYTES = FRAME_OVERHEAD;

/**
 * Cuts a byte stream into frames. A frame inside one chunk is handed on where it lies, without a copy; one that is split
 * over chunks is gathered in a buffer of its own, whose size is bounded by `frameMax`.
 */
export class FrameParser {
  /** Largest frame the peer may send, 0 for no limit. Changes after tune-ok. */
  frameMax: number;
  #carry: Carry | undefined;
  #state: 'reading' | 'paused' | 'stopped' = 'reading';
  /** Chunks that came while paused. Bounded by its owner, who pauses the stream as well: then one or two chunks. */
  #held: Buffer[] = [];
  readonly #onFrame: OnFrame;

  constructor(frameMax: number, onFrame: OnFrame) {
    this.frameMax = frameMax;
    this.#onFrame = onFrame;
  }

  /** Nothing more is handed on, also not the rest of the chunk at hand. */
  stop(): void {
    this.#state = 'stopped';
    this.#carry = undefined;
    this.#held = [];
  }

  /** Frames are kept back from the next one on, also those in the chunk at hand, until `resume`. */
  pause(): void {
    if (this.#state === 'reading') this.#state = 'paused';
  }

  /** Hands on what was kept back. Throws as `push` does. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'reading';
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.push(chunk);
  }

  /** Throws CodecError `frame` for a frame too large or without its end byte: the stream is lost, call nothing more. */
  push(chunk: Buffer): void {
    if (this.#state !== 'reading') {
      if (this.#state === 'paused') this.#held.push(chunk);
      return;
    }
    let at = this.#carry === undefined ? 0 : this.#fillCarry(chunk);
    const { length } = chunk;
    while (this.#isReading() && length - at >= FRAME_HEAD_BYTES) {
      const size = payloadSize(chunk, at);
      this.#checkSize(size);
      const end = at + FRAME_HEAD_BYTES + size;
      if (end >= length) break;
      this.#emit(chunk, at, end);
      at = end + 1;
    }
    if (at === length) return;
    if (this.#isReading()) this.#startCarry(chunk, at);
    else this.push(chunk.subarray(at));
  }

  /** A call, because the frame callback may change the state while `push` runs. */
  #isReading(): boolean {
    return this.#state === 'reading';
  }

  #emit(bytes: Buffer, at: number, end: number): void {
    if (bytes[end] !== FRAME_END) {
      throw new CodecError('frame', `frame of type ${bytes[at]} ends in ${bytes[end]}, not in ${FRAME_END}`);
    }
    this.#onFrame(bytes[at]!, (bytes[at + 1]! << 8) | bytes[at + 2]!, bytes, at + FRAME_HEAD_BYTES, end);
  }

  #checkSize(size: number): void {
    if (this.frameMax === 0) return;
    const allowed = this.frameMax - FRAME_OVERHEAD + FRAME_MAX_TOLERANCE_BYTES;
    if (size > allowed) {
      throw new CodecError('frame', `frame payload of ${size} bytes, the maximum is ${this.frameMax - FRAME_OVERHEAD}`);
    }
  }

  #startCarry(chunk: Buffer, at: number): void {
    const left = chunk.length - at;
    const needed = left < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES : payloadSize(chunk, at) + FRAME_OVERHEAD;
    const bytes = Buffer.allocUnsafeSlow(needed);
    chunk.copy(bytes, 0, at);
    this.#carry = { bytes, filled: left };
  }

  /** Moves bytes of the chunk to the split frame; returns the offset of the first byte that is not part of it. */
  #fillCarry(chunk: Buffer): number {
    let carry = this.#carry!;
    let at = takeInto(carry, chunk, 0);
    if (carry.filled < carry.bytes.length) return at;
    if (carry.bytes.length === FRAME_HEAD_BYTES) {
      const size = payloadSize(carry.bytes, 0);
      this.#checkSize(size);
      const bytes = Buffer.allocUnsafeSlow(size + FRAME_OVERHEAD);
      bytes.set(carry.bytes);
      carry = { bytes, filled: FRAME_HEAD_BYTES };
      this.#carry = carry;
      at = takeInto(carry, chunk, at);
      if (carry.filled < bytes.length) return at;
    }
    this.#carry = undefined;
    this.#emit(carry.bytes, 0, carry.bytes.length - 1);
    return at;
  }
}

/** A split frame: a buffer of the size still expected (first the head alone) and how much of it is there. */
interface Carry {
  readonly bytes: Buffer;
  filled: number;
}

function takeInto(carry: Carry, chunk: Buffer, at: number): number {
  const taken = chunk.copy(carry.bytes, carry.filled, at);
  carry.filled += taken;
  return at + taken;
}

function payloadSize(bytes: Buffer, at: number): number {
  return ((bytes[at + 3]! << 24) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 8) | bytes[at + 6]!) >>> 0;
}
