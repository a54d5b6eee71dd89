import type { Message } from '../message.js';
import { decodeMessage } from '../store/message-record.js';
import type { QueueHost } from './queue-host.js';
import type { QueueIndex } from './queue-index.js';

/**
 * Bounds of one read: large enough to be sequential, small enough to hold for every queue at once, and so small that bodies are still
 * in the processor's cache from their checksum when they are delivered.
 */
export const READ_AHEAD_MESSAGES = 1024;
export const READ_AHEAD_BYTES = 256 * 1024;
/** Of a read when memory is short. */
const READ_BYTES_MIN = 8 * 1024;
/** After a read failed as a whole. */
const READ_RETRY_MS = 1000;

interface Batch {
  levels: QueueIndex[];
  sequences: number[];
  positions: number[];
  sizes: number[];
}

/**
 * Brings bodies of one queue back from the log, one batch at a time. Entries may be settled or moved while a read runs: what comes
 * back is hung on whatever is still there.
 */
export class BodyLoader {
  #isReading = false;
  /** Of the last batch of ready entries: the next is read when the queue's head gets to its middle. */
  #last: { level: QueueIndex; middle: number; end: number } | undefined;
  #isStopped = false;

  constructor(
    private readonly host: QueueHost,
    private readonly queueName: string,
    /** Called after each batch; damaged entries are to be given up. */
    private readonly onLoaded: (damaged: readonly number[]) => void,
  ) {}

  /** Reads the ready entries from `ordinal` on. Does nothing while a read runs: `onLoaded` will come. */
  loadReady(level: QueueIndex, ordinal: number): void {
    if (this.#isReading) return;
    const batch = emptyBatch();
    const bytesMax = this.#bytesMax;
    let bytes = 0;
    for (let next = ordinal; next !== -1 && hasRoom(batch, bytes, bytesMax); next = level.nextReadyAfter(next)) {
      bytes += addTo(batch, level, next);
    }
    const { sequences } = batch;
    if (sequences.length === 0) return;
    this.#last = { level, middle: sequences[sequences.length >>> 1]!, end: sequences.at(-1)! };
    this.#read(batch);
  }

  /** Reads on while the second half of the last batch is handed out, so that deliveries do not wait for the disk. `ordinal` is the next of them. */
  readAhead(level: QueueIndex, ordinal: number): void {
    const last = this.#last;
    if (this.#isReading || last?.level !== level || this.host.memory.isTight) return;
    const sequence = level.sequenceAt(ordinal);
    if (sequence < last.middle) return;
    this.#last = undefined;
    if (sequence > last.end) return;
    const end = level.find(last.end);
    const next = end === -1 ? -1 : level.nextReadyAfter(end);
    if (next !== -1) this.loadReady(level, next);
  }

  /** Reads these entries, which must be live. Does nothing while a read runs. */
  loadEach(entries: Iterable<{ level: QueueIndex; ordinal: number }>): void {
    if (this.#isReading) return;
    const batch = emptyBatch();
    const bytesMax = this.#bytesMax;
    let bytes = 0;
    for (const { level, ordinal } of entries) {
      if (!hasRoom(batch, bytes, bytesMax)) break;
      bytes += addTo(batch, level, ordinal);
    }
    this.#read(batch);
  }

  stop(): void {
    this.#isStopped = true;
  }

  get #bytesMax(): number {
    return Math.min(READ_AHEAD_BYTES, Math.max(READ_BYTES_MIN, this.host.memory.roomToRead));
  }

  #read(batch: Batch): void {
    this.#isReading = true;
    this.host.log.readEach(batch.positions, batch.sizes, decodePayload).then(
      (messages) => this.#finish(() => this.#hang(batch, messages)),
      (error: Error) => {
        this.host.report(
          `queue '${this.queueName}': reading ${batch.sequences.length} messages failed: ${error.message}`,
        );
        this.host.clock.startTimer(READ_RETRY_MS, () => this.#finish(() => []));
      },
    );
  }

  #finish(damaged: () => readonly number[]): void {
    this.#isReading = false;
    if (!this.#isStopped) this.onLoaded(damaged());
  }

  #hang(batch: Batch, messages: readonly (Message | undefined)[]): number[] {
    const damaged: number[] = [];
    let ordinal = -1;
    batch.sequences.forEach((sequence, index) => {
      const level = batch.levels[index]!;
      ordinal = level.findAfter(ordinal, sequence);
      if (ordinal === -1 || level.messageAt(ordinal) !== undefined) return;
      const message = messages[index];
      if (message === undefined) {
        damaged.push(sequence);
        return;
      }
      this.host.memory.hold(message);
      level.setMessage(ordinal, message);
      level.correctBodyBytes(ordinal, message.body.length);
    });
    return damaged;
  }
}

/** Undefined when it is no message. */
export function decodePayload(bytes: Buffer, start: number, end: number): Message | undefined {
  try {
    return decodeMessage(bytes, start, end);
  } catch {
    // The checksum was right but the record is none of ours: damaged all the same, and reported as such by the queue.
    return undefined;
  }
}

function emptyBatch(): Batch {
  return { levels: [], sequences: [], positions: [], sizes: [] };
}

function hasRoom(batch: Batch, bytes: number, bytesMax: number): boolean {
  return batch.sequences.length < READ_AHEAD_MESSAGES && bytes < bytesMax;
}

/** The bytes it adds; none when the message is in memory. */
function addTo(batch: Batch, level: QueueIndex, ordinal: number): number {
  if (level.messageAt(ordinal) !== undefined) return 0;
  const size = level.recordBytesAt(ordinal);
  batch.levels.push(level);
  batch.sequences.push(level.sequenceAt(ordinal));
  batch.positions.push(level.positionAt(ordinal));
  batch.sizes.push(size);
  return size;
}
