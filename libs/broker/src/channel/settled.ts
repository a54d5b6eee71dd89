import type { SettlementQueue } from '../consumer.js';

/** Sequences to settle in the same way, gathered per queue so that each queue is told once. */
export class Settled {
  readonly #byQueue = new Map<SettlementQueue, number[]>();
  /** The queue of the last one: nearly always that of the next. */
  #lastQueue: SettlementQueue | undefined;
  #lastSequences: number[] = [];

  get isEmpty(): boolean {
    return this.#lastQueue === undefined;
  }

  add(queue: SettlementQueue, sequence: number): void {
    if (queue !== this.#lastQueue) {
      this.#lastQueue = queue;
      this.#lastSequences = this.#sequencesOf(queue);
    }
    this.#lastSequences.push(sequence);
  }

  /** Hands each queue its sequences and forgets them. */
  flush(settle: (queue: SettlementQueue, sequences: readonly number[]) => void): void {
    if (this.isEmpty) return;
    const batches = [...this.#byQueue];
    this.#byQueue.clear();
    this.#lastQueue = undefined;
    for (const [queue, sequences] of batches) settle(queue, sequences);
  }

  #sequencesOf(queue: SettlementQueue): number[] {
    let sequences = this.#byQueue.get(queue);
    if (sequences === undefined) {
      sequences = [];
      this.#byQueue.set(queue, sequences);
    }
    return sequences;
  }
}
