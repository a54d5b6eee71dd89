/** Placements of one queue in one segment. */
interface QueueCount {
  live: number;
}

/**
 * One segment file as the running log knows it: how much of it is written, synced and live, and which other segments must be
 * gone before it may go. See reclaim.ts for the rules.
 */
export class Segment {
  state: 'open' | 'sealed' | 'rewriting' | 'gone' = 'open';
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
  /** Set when a closer look showed that a rewrite is not worth it before fewer placements are live than this. */
  rewriteBelow = Number.POSITIVE_INFINITY;
  private readonly counts = new Map<number, QueueCount>();
  private lastQueue = -1;
  private lastCount: QueueCount = { live: 0 };

  constructor(
    readonly number: number,
    readonly seed: number,
  ) {}

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
