import { RECORDS_AT } from './layout.js';

/**
 * A sealed segment is rewritten when what is needed of it is at most this share of a full segment. Higher gives disk back sooner
 * and copies more: at a quarter, freeing three bytes costs copying one.
 */
export const REWRITE_RATIO = 0.25;

/** Placements of one queue in one segment. */
interface QueueCount {
  live: number;
}

/**
 * One segment file as the running log knows it: how much of it is written, synced and live, and which other segments must be
 * gone before it may go. See reclaim.ts for the rules.
 */
export class Segment {
  /** `emptied`: all that is needed of it has been appended again. `stuck`: its file cannot be removed. */
  state: 'open' | 'sealed' | 'rewriting' | 'emptied' | 'stuck' | 'gone' = 'open';
  /** Bytes appended, written and synced, from the file's beginning. */
  size = 0;
  written = 0;
  synced = 0;
  /** Where the opening snapshot ends; older segments may go only when that much is synced. */
  snapshotEnd = 0;
  /** Placements that were ever put here, and those still live. */
  placements = 0;
  live = 0;
  marks = 0;
  /** Segments that this one's acks and drops speak of. */
  readonly speaksOf = new Set<number>();
  /** Segments that messages here were copied from. */
  readonly sources = new Set<number>();
  /** Log offset that must be durable before this file may go: the last ack or copy that emptied it. */
  goneAfter = 0;
  /** Reads under way; the file stays while there are any. */
  readers = 0;
  /** Where its footer is; 0 when it has none. */
  footerAt = 0;
  /** A rewrite went through all of it. */
  isCopied = false;
  /** A rewrite is worth considering when fewer placements are live, or all are dead and fewer segments spoken of. */
  private lookBelow = 0;
  private speaksAtLook = 0;
  /** Copies here that a crash left beside their newer ones; they look live to the owner. */
  private stale: Set<string> | undefined;
  private readonly counts = new Map<number, QueueCount>();
  private lastQueue = -1;
  private lastCount: QueueCount = { live: 0 };

  constructor(
    readonly number: number,
    readonly seed: number,
  ) {}

  /** No more records: from now on it may be rewritten and go. */
  seal(segmentBytes: number): void {
    this.state = 'sealed';
    // Live bytes are not counted, so take each placement for average; a closer look counts before anything is copied.
    const recordBytes = Math.max(1, (this.footerAt || this.size) - RECORDS_AT);
    const share = (REWRITE_RATIO * segmentBytes) / recordBytes;
    this.lookBelow = Math.floor(this.placements * share) + 1;
  }

  get isDead(): boolean {
    return this.state === 'sealed' && this.live === 0;
  }

  get isToGo(): boolean {
    return this.state === 'emptied' || this.isDead;
  }

  get isWorthALook(): boolean {
    if (this.state !== 'sealed') return false;
    if (this.live > 0) return this.live < this.lookBelow;
    const isBound = this.speaksOf.size > 0 || this.marks > 0;
    return isBound && (this.lookBelow > 0 || this.speaksOf.size < this.speaksAtLook);
  }

  /** The last settled placement made it worth a look. */
  get hasJustEmptied(): boolean {
    return this.state === 'sealed' && (this.live === 0 || this.live === this.lookBelow - 1);
  }

  /** A look showed that more is needed of it than a rewrite is worth. */
  lookAgainLater(): void {
    this.lookBelow = this.live === 0 ? 0 : Math.max(1, Math.floor(this.live / 2));
    this.speaksAtLook = this.speaksOf.size;
  }

  noteStale(queue: number, sequence: number): void {
    this.stale ??= new Set();
    this.stale.add(`${queue}/${sequence}`);
  }

  isStale(queue: number, sequence: number): boolean {
    return this.stale?.has(`${queue}/${sequence}`) ?? false;
  }

  place(queue: number): void {
    this.placements++;
    this.live++;
    this.countOf(queue).live++;
  }

  /** A placement that is here but no longer live (found by recovery). */
  noteDead(queue: number): void {
    this.placements++;
    this.countOf(queue);
  }

  revive(queue: number): void {
    this.live++;
    this.countOf(queue).live++;
  }

  /** One placement of the queue is no longer live here. */
  settle(queue: number): void {
    const count = this.countOf(queue);
    if (count.live === 0) return; // dropped before it was acknowledged
    count.live--;
    this.live--;
  }

  drop(queue: number): void {
    const count = this.counts.get(queue);
    if (count === undefined) return;
    this.live -= count.live;
    count.live = 0;
  }

  /** Whether placements of the queue are in the file, dead ones included. */
  holds(queue: number): boolean {
    return this.counts.has(queue);
  }

  private countOf(queue: number): QueueCount {
    if (queue === this.lastQueue) return this.lastCount;
    let count = this.counts.get(queue);
    if (count === undefined) {
      count = { live: 0 };
      this.counts.set(queue, count);
    }
    this.lastQueue = queue;
    this.lastCount = count;
    return count;
  }
}
