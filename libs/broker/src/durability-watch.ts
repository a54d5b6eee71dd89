import type { Durability } from './virtual-host.js';

export interface DurabilityWaiter {
  /** A sync is done. Returns whether it goes on waiting. */
  onDurable(): boolean;
}

/** Tells those who wait for the log, and only them: one listener at the log however many connections there are. */
export class DurabilityWatch {
  /** Bounded by the number of connections. */
  readonly #waiters = new Set<DurabilityWaiter>();
  readonly #stop: () => void;

  constructor(readonly durability: Durability) {
    this.#stop = durability.onDurable(() => {
      for (const waiter of this.#waiters) if (!waiter.onDurable()) this.#waiters.delete(waiter);
    });
  }

  add(waiter: DurabilityWaiter): void {
    this.#waiters.add(waiter);
  }

  remove(waiter: DurabilityWaiter): void {
    this.#waiters.delete(waiter);
  }

  stop(): void {
    this.#waiters.clear();
    this.#stop();
  }
}
