import { createHash } from 'node:crypto';
import type { Delivery } from '#messaging';

/** Failures, each alone and with a database that answers, after which a delivery is kept as a dead letter instead of tried again. */
export const FAILURES_MAX = 3;
/** Bodies remembered, at most; the oldest is forgotten first. */
const SUSPECTS_MAX = 1_000;

/**
 * Deliveries whose turn failed. One that the database refuses for what is in it would otherwise come back for ever, and everything behind it would wait.
 */
export class Suspects {
  private readonly failures = new Map<string, number>();

  /** Answers true when this one has failed too often. */
  failed(delivery: Delivery): boolean {
    const key = keyOf(delivery);
    const count = (this.failures.get(key) ?? 0) + 1;
    this.failures.delete(key);
    if (count >= FAILURES_MAX) return true;

    this.failures.set(key, count);
    const [oldest] = this.failures.keys();
    if (this.failures.size > SUSPECTS_MAX && oldest !== undefined) this.failures.delete(oldest);
    return false;
  }

  passed(delivery: Delivery): void {
    if (this.failures.size > 0) this.failures.delete(keyOf(delivery));
  }
}

function keyOf(delivery: Delivery): string {
  return createHash('sha256').update(delivery.body).digest('base64');
}
