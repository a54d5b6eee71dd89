import type { Clock, Timer } from './clock.js';

/** x-expires: a queue that nobody consumes from, gets from or declares for that long is deleted. One timer at most. */
export class Lease {
  #usedAt: number;
  #timer: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly leaseMs: number | undefined,
    private readonly isInUse: () => boolean,
    private readonly onExpired: () => void,
  ) {
    this.#usedAt = clock.now();
    this.#arm(leaseMs);
  }

  /** Declared, got from, or the last consumer left. */
  renew(): void {
    if (this.leaseMs !== undefined) this.#usedAt = this.clock.now();
  }

  end(): void {
    this.#timer?.cancel();
  }

  #arm(delayMs: number | undefined): void {
    if (delayMs === undefined) return;
    this.#timer = this.clock.startTimer(delayMs, () => this.#look());
  }

  #look(): void {
    const leftMs = this.#usedAt + this.leaseMs! - this.clock.now();
    if (this.isInUse()) this.#arm(this.leaseMs);
    else if (leftMs > 0) this.#arm(leftMs);
    else this.onExpired();
  }
}
