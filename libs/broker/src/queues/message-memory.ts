import type { Chunk, Message } from '../message.js';

/** Memory for logged messages over all queues; what does not fit is read back from the log. */
export const MESSAGE_MEMORY_BYTES = 256 * 1024 * 1024;
const READ_SHARE = 1 / 8;
/** What an object and its two buffers cost beside their bytes. */
const MESSAGE_OVERHEAD_BYTES = 300;

/**
 * Counts what messages in queues really take. A message is counted once however many queues hold it; memory that many messages are
 * slices of is counted whole, once, until the last of them has gone. Messages of one chunk come one after the other; a chunk that others
 * interrupt is counted again for each stretch: too much, never too little. (A map by chunk would keep chunks alive past their time.)
 */
export class MessageMemory {
  #usedBytes = 0;
  /** What is in use and cannot be let go of: messages without a record in the log. The machine's memory bounds these, not we. */
  #keptBytes = 0;
  /** Where the last message lay: the next one mostly lies there too. */
  #lastChunk: Chunk | undefined;
  #hasAsked = false;

  /** `onTight` is to let go of messages soon, then call `relieved` or `keepsTheRest`. */
  constructor(
    private readonly limitBytes = MESSAGE_MEMORY_BYTES,
    private readonly onTight: () => void = () => undefined,
  ) {}

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Half used: time to let go of what can be read again. */
  get isTight(): boolean {
    return this.#boundedBytes * 2 > this.limitBytes;
  }

  /** A quarter is used at most: enough was let go of. */
  get isRelaxed(): boolean {
    return this.#boundedBytes * 4 <= this.limitBytes;
  }

  /** Bytes that one queue may read back now: a small part of what is free, as others read too and all of it is pinned until all is delivered. */
  get roomToRead(): number {
    return Math.max(0, this.limitBytes / 2 - this.#boundedBytes) * READ_SHARE;
  }

  /** True when the message may stay in memory; it is then counted. */
  admit(message: Message): boolean {
    if (this.#boundedBytes >= this.limitBytes) return false;
    this.hold(message);
    return true;
  }

  /** Counts a message that has to stay: it lives nowhere else, or is about to be delivered. */
  hold(message: Message): void {
    if (message.holders++ > 0) return;
    this.#count(message);
    if (this.#hasAsked || !this.isTight) return;
    this.#hasAsked = true;
    this.onTight();
  }

  release(message: Message): void {
    if (--message.holders > 0) return;
    this.#discount(message);
    if (this.#keptBytes > this.#usedBytes) this.#keptBytes = this.#usedBytes;
  }

  /** Gives a message that stays memory of its own, when it lies in more than twice what it needs. */
  settle(message: Message): void {
    const { properties, body } = message;
    const needed = properties.length + body.length;
    if (isAlone(needed, memoryOf(message).byteLength)) return;
    this.#discount(message);
    const own = Buffer.allocUnsafe(needed);
    own.set(properties);
    own.set(body, properties.length);
    message.properties = own.subarray(0, properties.length);
    message.body = own.subarray(properties.length);
    this.#count(message);
  }

  /** Enough was let go of. */
  relieved(): void {
    this.#hasAsked = false;
  }

  /** All that can be was let go of: what is left does not count against the limit. */
  keepsTheRest(): void {
    this.#keptBytes = this.#usedBytes;
    this.#hasAsked = false;
  }

  get #boundedBytes(): number {
    return this.#usedBytes - this.#keptBytes;
  }

  #count(message: Message): void {
    const { body, properties } = message;
    const memory = memoryOf(message);
    this.#usedBytes += MESSAGE_OVERHEAD_BYTES;
    if (properties.buffer !== memory) {
      // Rare, and they are small: they must not pin a second chunk. Those with memory of their own may be shared, and are counted each time.
      if (properties.buffer.byteLength !== properties.length) message.properties = withOwnMemory(properties);
      this.#usedBytes += properties.length;
    }
    const { byteLength } = memory;
    if (isAlone(body.length, byteLength)) {
      this.#usedBytes += byteLength;
      return;
    }
    if (this.#lastChunk?.memory !== memory) this.#lastChunk = { memory, slices: 0 };
    message.chunk = this.#lastChunk;
    if (message.chunk.slices++ === 0) this.#usedBytes += byteLength;
  }

  #discount(message: Message): void {
    const { properties, chunk } = message;
    const memory = memoryOf(message);
    this.#usedBytes -= MESSAGE_OVERHEAD_BYTES;
    if (properties.buffer !== memory) this.#usedBytes -= properties.length;
    message.chunk = undefined;
    if (chunk === undefined || --chunk.slices === 0) this.#usedBytes -= memory.byteLength;
  }
}

/** Where its body lies; an empty one lies nowhere. */
function memoryOf({ body, properties }: Message): ArrayBufferLike {
  return body.length === 0 ? properties.buffer : body.buffer;
}

function withOwnMemory(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  own.set(bytes);
  return own;
}

/** A slice that is most of its memory: no other can be, so it is counted without a look at who else is in there. */
function isAlone(sliceBytes: number, memoryBytes: number): boolean {
  return sliceBytes * 2 >= memoryBytes;
}
