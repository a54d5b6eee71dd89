/** Numbers that follow from a seed. `TOCSIN_SEED` sets it; the caller prints it. */
export class Random {
  readonly #first: number;
  #state: number;

  constructor(seed = Number(process.env['TOCSIN_SEED'] ?? Math.floor(Math.random() * 2 ** 31))) {
    this.#first = seed;
    this.#state = seed;
  }

  get seed(): number {
    return this.#first;
  }

  /** From 0 up to, not including, 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mix = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mix = (mix + Math.imul(mix ^ (mix >>> 7), 61 | mix)) ^ mix;
    return ((mix ^ (mix >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.between(0, items.length - 1)]!;
  }
}

/** `TOCSIN_KILL_ROUNDS`, or what the spec takes by itself. */
export function killRounds(usual: number): number {
  return Number(process.env['TOCSIN_KILL_ROUNDS'] ?? usual);
}
