import type { Duplex } from 'node:stream';
import { encodeMethod, type MethodArguments, type MethodName } from '#amqp-codec';

const BLOCK_BYTES = 64 * 1024;

/** Deliveries stop when this much waits for a client to read it. */
export const DELIVERY_BACKLOG_BYTES_MAX = 512 * 1024;
/** Beyond this also answers and returns count as unread: the connection stops reading requests. */
export const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;

/**
 * The writing side of one socket. Frames are gathered in blocks and written once per turn of the event loop, or when a
 * block is full.
 */
export class Output {
  /** Where `reserve` gives out places. */
  block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  /** Anything written since the heartbeat sender last looked. */
  wroteSomething = false;
  bytesWritten = 0;
  readonly #socket: Duplex;
  #flushedUpTo = 0;
  #end = 0;
  /** Bytes the socket had not taken at the last look. */
  #backlog = 0;
  #isScheduled = false;
  #isStopped = false;

  /** `onDrain` is called when the socket has taken everything. */
  constructor(socket: Duplex, onDrain: () => void) {
    this.#socket = socket;
    socket.on('drain', () => {
      this.#backlog = 0;
      onDrain();
    });
  }

  /** Room for more deliveries. */
  get hasRoom(): boolean {
    return this.backlogBytes < DELIVERY_BACKLOG_BYTES_MAX;
  }

  get backlogBytes(): number {
    return this.#backlog + this.#end - this.#flushedUpTo;
  }

  /** Gives out `bytes` bytes of `block` from the returned offset; the caller fills them at once, to the last. */
  reserve(bytes: number): number {
    if (this.#end + bytes > this.block.length) {
      this.flush();
      this.block = Buffer.allocUnsafeSlow(Math.max(bytes, BLOCK_BYTES));
      this.#flushedUpTo = 0;
      this.#end = 0;
    }
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#flushLater);
    }
    const at = this.#end;
    this.#end += bytes;
    return at;
  }

  write(frames: Buffer): void {
    const at = this.reserve(frames.length);
    this.block.set(frames, at);
  }

  send<Name extends MethodName>(channel: number, name: Name, args: MethodArguments<Name>): void {
    this.write(encodeMethod(channel, name, args));
  }

  flush(): void {
    const start = this.#flushedUpTo;
    const end = this.#end;
    if (start === end || this.#isStopped) return;
    this.#flushedUpTo = end;
    this.wroteSomething = true;
    this.bytesWritten += end - start;
    this.#socket.write(this.block.subarray(start, end));
    this.#backlog = this.#socket.writableLength;
  }

  /** Writes what is gathered and ends the stream. */
  end(): void {
    this.flush();
    this.stop();
    this.#socket.end();
  }

  /** Nothing more is written; what comes is dropped. */
  stop(): void {
    this.#isStopped = true;
  }

  readonly #flushLater = (): void => {
    this.#isScheduled = false;
    this.flush();
  };
}
