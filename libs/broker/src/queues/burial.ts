import type { Message } from '../message.js';
import type { Timer } from './clock.js';
import type { DeathReason } from './dead-letter.js';
import type { BurialResult, QueueHost } from './queue-host.js';
import type { QueueIndex } from './queue-index.js';

/** Messages expired at one go before their dead letters are stored. */
export const BURIALS_WAITING_MAX = 1000;
/** How long until a full or missing target, or a disk without room, is tried again. */
export const BURIAL_RETRY_MS = 1000;

interface Dying {
  level: QueueIndex;
  sequence: number;
  reason: DeathReason;
}

/** The parts of its queue that dead-lettering works on. */
export interface Graveyard {
  deadLetter(message: Message, reason: DeathReason): BurialResult;
  /** The dead letter is stored or dropped: these leave the queue for good. */
  settle(sequences: readonly number[]): void;
  load(entries: Iterable<{ level: QueueIndex; ordinal: number }>): void;
  schedule(): void;
}

/**
 * Messages of one queue on their way to the dead-letter exchange, oldest first. They stay held in the index, and in the log, until
 * their dead letters are stored: a crash in between can repeat a dead letter but not lose it. Runs once per tick, never inside a publish.
 *
 * While the log is low on disk only rejected ones go on: a dead letter is a copy, and what expires by itself would fill the memory, and
 * the reserve that is there for acknowledgements. A client's reject must keep its place before what the client publishes next.
 */
export class Burial {
  #dying: Dying[] = [];
  /** Waiting for room on the disk; older than those in `#dying`. */
  #setAside: Dying[] = [];
  #retry: Timer | undefined;
  #wait: Timer | undefined;

  constructor(
    private readonly host: Pick<QueueHost, 'clock' | 'log'>,
    private readonly graveyard: Graveyard,
  ) {}

  get count(): number {
    return this.#dying.length + this.#setAside.length;
  }

  /** The entry must be held. */
  add(level: QueueIndex, sequence: number, reason: DeathReason): void {
    this.#dying.push({ level, sequence, reason });
    this.graveyard.schedule();
  }

  work(): void {
    if (this.#dying.length === 0 || this.#retry !== undefined) return;
    if (this.host.log.isLowOnDisk) this.#setUnaskedAside();

    const buried: number[] = [];
    let done = 0;
    for (const { level, sequence, reason } of this.#dying) {
      const ordinal = level.find(sequence);
      if (ordinal !== -1) {
        const message = level.messageAt(ordinal);
        if (message === undefined) break;
        if (this.graveyard.deadLetter(message, reason) === 'refused') {
          this.#retryLater();
          break;
        }
        buried.push(sequence);
      }
      done++;
    }
    this.#dying.splice(0, done);
    if (buried.length > 0) this.graveyard.settle(buried);
    if (this.#dying.length > 0 && this.#retry === undefined) this.graveyard.load(this.#entries());
  }

  end(): void {
    this.#retry?.cancel();
    this.#wait?.cancel();
    this.#dying = [];
    this.#setAside = [];
  }

  /** Those that no client asked for. */
  #setUnaskedAside(): void {
    const asked: Dying[] = [];
    for (const dying of this.#dying) (dying.reason === 'rejected' ? asked : this.#setAside).push(dying);
    this.#dying = asked;
    if (this.#setAside.length > 0 && this.#wait === undefined) this.#waitForRoom();
  }

  #waitForRoom(): void {
    this.#wait = this.host.clock.startTimer(BURIAL_RETRY_MS, () => {
      this.#wait = undefined;
      if (this.host.log.isLowOnDisk) {
        this.#waitForRoom();
        return;
      }
      this.#dying = [...this.#setAside, ...this.#dying];
      this.#setAside = [];
      this.graveyard.schedule();
    });
  }

  #retryLater(): void {
    this.#retry = this.host.clock.startTimer(BURIAL_RETRY_MS, () => {
      this.#retry = undefined;
      this.graveyard.schedule();
    });
  }

  *#entries(): Generator<{ level: QueueIndex; ordinal: number }> {
    for (const { level, sequence } of this.#dying) {
      const ordinal = level.find(sequence);
      if (ordinal !== -1) yield { level, ordinal };
    }
  }
}
