import type { Message } from '../message.js';

export const GONE = 0;
export const READY = 1;
export const HELD = 2;

export const REDELIVERED = 1;
/** The message is in the log and must be acknowledged there. */
export const LOGGED = 2;
/** Its message is in memory and may have to leave it. */
export const LOOSE = 4;

/** A power of two: an ordinal's low bits are its slot. 26 KiB, so that growing never copies more than a fraction of it. */
export const PAGE_ENTRIES = 1024;
export const PAGE_SHIFT = 10;
export const PAGE_MASK = PAGE_ENTRIES - 1;

/** f64 sequence, f64 position, u32 record bytes, u32 body bytes, u8 state, u8 flags. */
const ENTRY_BYTES = 26;
/** Full pages kept for whichever queue needs one next. */
const SPARE_PAGES_MAX = 64;

/**
 * A stretch of a queue's entries as columns in one piece of memory. What only some queues need (messages in memory, expiry, failures)
 * has its column only while an entry of this page needs it.
 */
export class IndexPage {
  readonly sequences: Float64Array;
  readonly positions: Float64Array;
  readonly recordBytes: Uint32Array;
  readonly bodyBytes: Uint32Array;
  readonly states: Uint8Array;
  readonly flags: Uint8Array;
  messages: (Message | undefined)[] | undefined;
  expiresAt: Float64Array | undefined;
  failures: Uint32Array | undefined;
  /** Entries that are not gone; of those with their message in memory; of those the loose ones. */
  live = 0;
  hung = 0;
  loose = 0;

  constructor(readonly capacity: number) {
    const memory = new ArrayBuffer(capacity * ENTRY_BYTES);
    this.sequences = new Float64Array(memory, 0, capacity);
    this.positions = new Float64Array(memory, capacity * 8, capacity);
    this.recordBytes = new Uint32Array(memory, capacity * 16, capacity);
    this.bodyBytes = new Uint32Array(memory, capacity * 20, capacity);
    this.states = new Uint8Array(memory, capacity * 24, capacity);
    this.flags = new Uint8Array(memory, capacity * 25, capacity);
  }

  hang(slot: number, message: Message): void {
    this.messages ??= new Array(this.capacity).fill(undefined);
    if (this.messages[slot] === undefined) this.hung++;
    this.messages[slot] = message;
  }

  unhang(slot: number): void {
    if (this.messages === undefined || this.messages[slot] === undefined) return;
    this.messages[slot] = undefined;
    this.hung--;
  }

  setExpiry(slot: number, expiresAt: number): void {
    if (expiresAt !== 0) this.expiresAt ??= new Float64Array(this.capacity);
    if (this.expiresAt !== undefined) this.expiresAt[slot] = expiresAt;
  }

  addFailure(slot: number): number {
    this.failures ??= new Uint32Array(this.capacity);
    this.failures[slot]!++;
    return this.failures[slot]!;
  }

  /**
   * Moves the live entries of `from` here, to `slot` and after it; returns the slot behind the last. `from` may be this page, when no
   * entry moves back.
   */
  takeLive(from: IndexPage, slots: number, slot: number): number {
    let to = slot;
    for (let at = 0; at < slots; at++) {
      if (from.states[at] === GONE) continue;
      if (from !== this || at !== to) this.takeEntry(from, at, to);
      to++;
    }
    if (from !== this) {
      this.live += from.live;
      this.loose += from.loose;
    }
    return to;
  }

  /** Nothing is here any more; columns that not every queue needs are dropped. */
  clear(): void {
    if (this.hung > 0) this.messages = undefined;
    this.expiresAt = undefined;
    this.failures = undefined;
    this.live = 0;
    this.hung = 0;
    this.loose = 0;
  }

  private takeEntry(from: IndexPage, at: number, to: number): void {
    this.sequences[to] = from.sequences[at]!;
    this.positions[to] = from.positions[at]!;
    this.recordBytes[to] = from.recordBytes[at]!;
    this.bodyBytes[to] = from.bodyBytes[at]!;
    this.states[to] = from.states[at]!;
    this.flags[to] = from.flags[at]!;
    if (from.expiresAt !== undefined || this.expiresAt !== undefined) this.setExpiry(to, from.expiresAt?.[at] ?? 0);
    if (from.failures !== undefined || this.failures !== undefined) {
      this.failures ??= new Uint32Array(this.capacity);
      this.failures[to] = from.failures?.[at] ?? 0;
    }
    const message = from.messages?.[at];
    from.unhang(at);
    if (message === undefined) this.unhang(to);
    else this.hang(to, message);
  }
}

const spare: IndexPage[] = [];

/** A page of `PAGE_ENTRIES`; what its slots hold is nobody's. */
export function takePage(): IndexPage {
  return spare.pop() ?? new IndexPage(PAGE_ENTRIES);
}

export function givePageBack(page: IndexPage): void {
  if (page.capacity !== PAGE_ENTRIES || spare.length >= SPARE_PAGES_MAX) return;
  page.clear();
  spare.push(page);
}
