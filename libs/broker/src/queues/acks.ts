import type { QueueHost } from './queue-host.js';
import type { QueueIndex } from './queue-index.js';

/** Acknowledgements in one record when a whole queue is emptied. */
export const ACKS_PER_RECORD_MAX = 4096;

/** Acknowledgements gathered for one record of the log. */
export class Acks {
  #sequences: number[] = [];
  #positions: number[] = [];

  get count(): number {
    return this.#sequences.length;
  }

  /** Call before the entry is settled. */
  add(level: QueueIndex, ordinal: number): void {
    if (!level.isLogged(ordinal)) return;
    this.#sequences.push(level.sequenceAt(ordinal));
    this.#positions.push(level.positionAt(ordinal));
  }

  appendTo(host: QueueHost, queue: number): void {
    if (this.#sequences.length === 0) return;
    host.log.appendAcks(queue, this.#sequences, this.#positions);
    this.#sequences = [];
    this.#positions = [];
  }
}
