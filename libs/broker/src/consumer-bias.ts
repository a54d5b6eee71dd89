import { type Clock, systemClock, type Timer } from './queues/clock.js';

/** Ready messages behind which consumers that are quick count as overtaken by their publishers. */
export const LEAD_MAX = 1_024;
/** Consumers of a queue that have settled something within this time are quick: they wait for the broker, not it for them. */
export const QUICK_MS = 10;
/** However slowly consumers settle, publishers that overtake them are let go on at this rate, all together. */
export const OVERTAKING_PER_MS = 50;

/** A publisher that is not read until what it published ahead of the consumers is made up for. */
interface Waiting {
  readonly overtaken: number;
  readonly resume: () => void;
}

/**
 * One thread serves publishers and consumers. A publisher's window may hold thousands of small messages, all read in one turn, a consumer's prefetch
 * hundreds: without a rule publishers take the thread, queues grow and messages arrive late though their consumers are idle. So a
 * connection whose publishes land behind a queue's quick consumers is read again only when as many messages were settled. The word is
 * RabbitMQ's, whose queue process prefers acknowledgements to publishes in the same way.
 */
export class ConsumerBias {
  #overtaken = 0;
  /** Messages that may be published ahead. */
  #credit = 0;
  #creditedAt = 0;
  /** In the order of their coming; at most one entry a connection. */
  #waiting: Waiting[] = [];
  #timer: Timer | undefined;

  constructor(private readonly clock: Clock = systemClock) {}

  /** A message was published behind quick consumers. */
  overtook(): void {
    this.#overtaken++;
  }

  /** How many of them since the last call: those of the read that ends. */
  takeOvertaken(): number {
    const overtaken = this.#overtaken;
    this.#overtaken = 0;
    return overtaken;
  }

  /** Calls `resume` when consumers have settled `overtaken` messages, or the time for them is up. */
  giveWay(overtaken: number, resume: () => void): void {
    if (this.#waiting.length === 0) {
      this.#credit = 0;
      this.#creditedAt = this.clock.now();
    }
    this.#waiting.push({ overtaken, resume });
    this.#armTimer();
  }

  /** Consumers have settled messages. */
  settled(count: number): void {
    if (this.#waiting.length === 0) return;
    this.#credit += count;
    this.#resumeWhoCan();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#waiting = [];
  }

  #resumeWhoCan(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.overtaken > this.#credit) return;
      this.#credit -= first.overtaken;
      this.#waiting.shift();
      first.resume();
    }
  }

  #armTimer(): void {
    if (this.#timer !== undefined) return;
    const missing = this.#waiting[0]!.overtaken - this.#credit;
    this.#timer = this.clock.startTimer(Math.ceil(missing / OVERTAKING_PER_MS), () => {
      this.#timer = undefined;
      const now = this.clock.now();
      this.#credit += (now - this.#creditedAt) * OVERTAKING_PER_MS;
      this.#creditedAt = now;
      this.#resumeWhoCan();
      if (this.#waiting.length > 0) this.#armTimer();
    });
  }
}
