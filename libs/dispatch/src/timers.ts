/**
 * When each key is due next. A binary heap whose outdated entries are dropped when they surface, so setting a timer again costs no search.
 * Holds at most one live entry per key, and is compacted when outdated ones outnumber the live.
 */
export class Timers {
  private readonly dueAt = new Map<string, number>();
  private heap: { at: number; key: string }[] = [];

  set(key: string, at: number): void {
    if (this.dueAt.get(key) === at) return;
    this.dueAt.set(key, at);
    if (this.heap.length > 2 * this.dueAt.size + 64) this.compact();
    this.heap.push({ at, key });
    this.rise(this.heap.length - 1);
  }

  delete(key: string): void {
    this.dueAt.delete(key);
  }

  /** Infinity when no timer is set. */
  earliest(): number {
    this.dropOutdated();
    return this.heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** The keys due at `now`, earliest first, at most `max`. Their timers are gone. */
  takeDue(now: number, max = Number.POSITIVE_INFINITY): string[] {
    const due: string[] = [];
    while (due.length < max && this.earliest() <= now) {
      const { key } = this.removeTop();
      this.dueAt.delete(key);
      due.push(key);
    }
    return due;
  }

  private dropOutdated(): void {
    for (let top = this.heap[0]; top && this.dueAt.get(top.key) !== top.at; top = this.heap[0]) this.removeTop();
  }

  private removeTop(): { at: number; key: string } {
    const top = this.heap[0] as { at: number; key: string };
    const last = this.heap.pop() as { at: number; key: string };
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.sink(0);
    }
    return top;
  }

  private compact(): void {
    this.heap = this.heap.filter(({ key, at }) => this.dueAt.get(key) === at);
    for (let index = this.heap.length >> 1; index >= 0; index--) this.sink(index);
  }

  private rise(index: number): void {
    for (let child = index; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (this.at(parent) <= this.at(child)) return;
      this.swap(parent, child);
      child = parent;
    }
  }

  private sink(index: number): void {
    for (let parent = index; ; ) {
      const left = 2 * parent + 1;
      const smaller = this.at(left + 1) < this.at(left) ? left + 1 : left;
      if (this.at(smaller) >= this.at(parent)) return;
      this.swap(parent, smaller);
      parent = smaller;
    }
  }

  private at(index: number): number {
    return this.heap[index]?.at ?? Number.POSITIVE_INFINITY;
  }

  private swap(one: number, other: number): void {
    const { heap } = this;
    [heap[one], heap[other]] = [heap[other] as { at: number; key: string }, heap[one] as { at: number; key: string }];
  }
}
