/**
 * What became of each message in each queue it was sent to, as a client sees it.
 *
 *   promised   its publish was confirmed, or the reject that dead-letters it is durable: it must be delivered until somebody settles it
 *   settled    an ack or reject was sent; the broker may have died before it read that
 *   durable    something published later on the same channel was confirmed: the settlement is on disk and the message must not come back
 */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #resurrected: string[] = [];
  readonly #damaged: string[] = [];
  #duplicates = 0;
  #unflagged = 0;
  #deliveries = 0;

  promise(queue: string, id: string): void {
    this.#entryOf(queue, id).isPromised = true;
  }

  /** Answers how often it was delivered so far, this time included. */
  delivered(queue: string, id: string, seen: { redelivered: boolean; isWhole: boolean }): number {
    const entry = this.#entryOf(queue, id);
    this.#deliveries += 1;
    entry.deliveries += 1;
    if (!seen.isWhole) this.#damaged.push(nameOf(queue, id));
    if (entry.isDurable) this.#resurrected.push(nameOf(queue, id));
    // The broker never read what settled it before.
    entry.settled = undefined;
    if (entry.deliveries > 1) {
      this.#duplicates += 1;
      if (!seen.redelivered) this.#unflagged += 1;
    }
    return entry.deliveries;
  }

  settled(queue: string, id: string, how: 'acked' | 'rejected'): void {
    this.#entryOf(queue, id).settled = how;
  }

  /** The last settlement of it is on disk. */
  durable(queue: string, id: string): void {
    this.#entryOf(queue, id).isDurable = true;
  }

  /** A dead letter lies in the queue of graves under the name of the queue where it died. */
  buried(queue: string, id: string): void {
    this.#entryOf(queue, id).graves += 1;
  }

  /** Promised and nobody was ever able to settle it, or rejected and in no grave. */
  lost(): string[] {
    return [...this.#entries].filter(([, entry]) => isLost(entry)).map(([name]) => name);
  }

  resurrected(): string[] {
    return [...this.#resurrected];
  }

  /** Delivered with another body than was published. */
  damaged(): string[] {
    return [...this.#damaged];
  }

  figures() {
    const entries = [...this.#entries.values()];
    return {
      promised: entries.filter(({ isPromised }) => isPromised).length,
      deliveries: this.#deliveries,
      durablySettled: entries.filter(({ isDurable }) => isDurable).length,
      deadLetters: entries.filter(({ graves }) => graves > 0).length,
      lost: this.lost().length,
      resurrected: this.#resurrected.length,
      duplicates: this.#duplicates,
      /** Among the duplicates: delivered again without the redelivered flag. */
      duplicatesUnflagged: this.#unflagged,
      deadLetterDuplicates: entries.reduce((sum, { graves }) => sum + Math.max(0, graves - 1), 0),
    };
  }

  #entryOf(queue: string, id: string): Entry {
    const name = nameOf(queue, id);
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = { isPromised: false, deliveries: 0, settled: undefined, isDurable: false, graves: 0 };
      this.#entries.set(name, entry);
    }
    return entry;
  }
}

interface Entry {
  isPromised: boolean;
  deliveries: number;
  settled: 'acked' | 'rejected' | undefined;
  isDurable: boolean;
  graves: number;
}

function isLost({ isPromised, settled, isDurable, graves }: Entry): boolean {
  if (settled === 'acked' || graves > 0) return false;
  return isPromised || (settled === 'rejected' && isDurable);
}

function nameOf(queue: string, id: string): string {
  return `${queue}/${id}`;
}
