import type { Message } from '../message.js';
import { decodeMessage } from '../store/message-record.js';
import type { QueueHost } from './queue-host.js';
import type { QueueIndex } from './queue-index.js';

/** Bounds of one read: large enough to be sequential, small enough to hold for every queue at once. */
export const READ_AHEAD_MESSAGES = 512;
export const READ_AHEAD_BYTES = 1024 * 1024;
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
    let bytes = 0;
    for (let next = ordinal; next !== -1 && hasRoom(batch, bytes); next = level.nextReadyAfter(next)) {
      bytes += addTo(batch, level, next);
    }
    this.#read(batch);
  }

  /** Reads these entries, which must be live. Does nothing while a read runs. */
  loadEach(entries: Iterable<{ level: QueueIndex; ordinal: number }>): void {
    if (this.#isReading) return;
    const batch = emptyBatch();
    let bytes = 0;
    for (const { level, ordinal } of entries) {
      if (!hasRoom(batch, bytes)) break;
      bytes += addTo(batch, level, ordinal);
    }
    this.#read(batch);
  }

  stop(): void {
    this.#isStopped = true;
  }

  #read(batch: Batch): void {
    this.#isReading = true;
    this.host.log.read(batch.positions, batch.sizes).then(
      (payloads) => this.#finish(() => this.#hang(batch, payloads)),
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

  #hang(batch: Batch, payloads: readonly (Buffer | undefined)[]): number[] {
    const damaged: number[] = [];
    batch.sequences.forEach((sequence, index) => {
      const level = batch.levels[index]!;
      const ordinal = level.find(sequence);
      if (ordinal === -1 || level.messageAt(ordinal) !== undefined) return;
      const message = decodePayload(payloads[index]);
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

function decodePayload(payload: Buffer | undefined): Message | undefined {
  if (payload === undefined) return undefined;
  try {
    return decodeMessage(payload);
  } catch {
    // The checksum was right but the record is none of ours: damaged all the same, and reported as such by the queue.
    return undefined;
  }
}

function emptyBatch(): Batch {
  return { levels: [], sequences: [], positions: [], sizes: [] };
}

function hasRoom(batch: Batch, bytes: number): boolean {
  return batch.sequences.length < READ_AHEAD_MESSAGES && bytes < READ_AHEAD_BYTES;
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
