import {
  CONTENT_HEADER_PREFIX_BYTES,
  CodecError,
  checkProperties,
  peekBodySize,
  peekContentClass,
  peekContentWeight,
} from '#amqp-codec';
import { ChannelError, ConnectionError } from '../errors.js';
import { BodyChunks } from './body-chunks.js';

/** A content completely received. `properties` as in Message. */
export type OnContent = (properties: Buffer, body: Buffer) => void;

type Assembly =
  | { readonly at: 'idle' }
  | { readonly at: 'awaiting-header' }
  | {
      readonly at: 'awaiting-body';
      properties: Buffer;
      bodyBytes: number;
      /** Undefined until a body turns out to come in several frames. */
      chunks: BodyChunks | undefined;
      bytesLeft: number;
    };

const IDLE: Assembly = { at: 'idle' };
const AWAITING_HEADER: Assembly = { at: 'awaiting-header' };
const NO_BODY = Buffer.alloc(0);
const CLASS_BASIC = 60;

/**
 * Puts the frames behind a content method together: one header, then bodies until the announced size is there. A body in
 * one frame is a slice of the received chunk; only a split one is joined. 0-9-1 section 4.2.6.
 */
export class ContentAssembler {
  #state: Assembly = IDLE;
  readonly #onContent: OnContent;
  readonly #bodyBytesMax: number;

  constructor(bodyBytesMax: number, onContent: OnContent) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#onContent = onContent;
  }

  get isIdle(): boolean {
    return this.#state === IDLE;
  }

  /** A content method was received. */
  start(): void {
    this.#state = AWAITING_HEADER;
  }

  /** Drops what is half there. */
  discard(): void {
    this.#state = IDLE;
  }

  /** A method frame is due only between contents. Throws 505. */
  checkMethodIsDue(): void {
    if (this.#state !== IDLE) throw this.#unexpected();
  }

  /** No content frame is due. Throws 505. */
  refuse(): never {
    throw this.#unexpected();
  }

  header(bytes: Buffer, start: number, end: number): void {
    if (this.#state.at !== 'awaiting-header') throw this.#unexpected();
    const classId = peekContentClass(bytes, start, end);
    if (classId !== CLASS_BASIC) {
      throw new ConnectionError(
        'unexpected-frame',
        `expected content header for class ${CLASS_BASIC}, got one for class ${classId} instead`,
      );
    }
    if (peekContentWeight(bytes, start) !== 0) throw this.#unexpected();
    const bodyBytes = peekBodySize(bytes, start);
    const properties = bytes.subarray(start + CONTENT_HEADER_PREFIX_BYTES, end);
    checkProperties(properties);
    if (bodyBytes > this.#bodyBytesMax) {
      throw new ChannelError(
        'precondition-failed',
        `message size ${bodyBytes} is larger than configured max size ${this.#bodyBytesMax}`,
      );
    }
    if (bodyBytes === 0) {
      this.#state = IDLE;
      this.#onContent(properties, NO_BODY);
      return;
    }
    this.#state = { at: 'awaiting-body', properties, bodyBytes, chunks: undefined, bytesLeft: bodyBytes };
  }

  body(bytes: Buffer, start: number, end: number): void {
    const state = this.#state;
    if (state.at !== 'awaiting-body') throw this.#unexpected();
    const left = state.bytesLeft - (end - start);
    if (left < 0) {
      throw new CodecError(
        'frame',
        `${-left} body bytes more than the ${state.bodyBytes} announced by the content header`,
      );
    }
    const chunk = bytes.subarray(start, end);
    if (left > 0) {
      state.bytesLeft = left;
      // Empty body frames are legal; they are not kept.
      state.chunks ??= new BodyChunks(state.bodyBytes);
      state.chunks.add(chunk);
      return;
    }
    this.#state = IDLE;
    const { properties, chunks } = state;
    this.#onContent(properties, chunks === undefined || chunks.count === 0 ? chunk : joined(chunks, chunk));
  }

  #unexpected(): ConnectionError {
    return new ConnectionError('unexpected-frame', UNEXPECTED[this.#state.at]);
  }
}

function joined(chunks: BodyChunks, last: Buffer): Buffer {
  chunks.add(last);
  return chunks.join();
}

const UNEXPECTED: Record<Assembly['at'], string> = {
  idle: 'expected method frame, got non method frame instead',
  'awaiting-header': `expected content header for class ${CLASS_BASIC}, got non content header frame instead`,
  'awaiting-body': 'expected content body, got non content body frame instead',
};
