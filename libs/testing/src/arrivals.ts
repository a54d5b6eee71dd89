/** What arrived at a simulator, in order. A waiter is woken by the arrival itself. */
export class Arrivals<T> {
  readonly items: T[] = [];
  readonly #waiters = new Set<() => void>();

  constructor(private readonly noun: string) {}

  add(item: T): void {
    if (this.items.length >= ARRIVALS_MAX) throw new Error(`more than ${ARRIVALS_MAX} ${this.noun} arrived`);

    this.items.push(item);
    for (const wake of [...this.#waiters]) wake();
  }

  clear(): void {
    this.items.length = 0;
  }

  /** The items, once there are `count`. */
  waitForCount(count: number, timeoutMs: number): Promise<T[]> {
    return this.waitUntil((items) => items.length >= count, timeoutMs, `${count} ${this.noun}`);
  }

  /** The items, once `isEnough` says so; asked at each arrival. */
  waitUntil(isEnough: (items: readonly T[]) => boolean, timeoutMs: number, what: string): Promise<T[]> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#waiters.delete(look);
        finish();
      };
      const look = () => {
        if (isEnough(this.items)) settle(() => resolve([...this.items]));
      };
      const timer = setTimeout(() => {
        const sentence = `waited ${timeoutMs} ms in vain for ${what}; ${this.items.length} ${this.noun} arrived`;
        settle(() => reject(new Error(sentence)));
      }, timeoutMs);
      this.#waiters.add(look);
      look();
    });
  }
}

const ARRIVALS_MAX = 200_000;
