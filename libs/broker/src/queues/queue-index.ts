import type { Message } from '../message.js';
import {
  GONE,
  givePageBack,
  HELD,
  IndexPage,
  LOGGED,
  LOOSE,
  PAGE_ENTRIES,
  PAGE_MASK,
  PAGE_SHIFT,
  READY,
  REDELIVERED,
  takePage,
} from './index-page.js';

export { LOGGED, REDELIVERED } from './index-page.js';

// The life of an entry:
//
//   push ──▶ ready ──take──▶ held (a consumer has it, or it is being dead-lettered) ──settle──▶ gone
//              ▲               │
//              └───restore─────┘   at its original place, marked redelivered
//
// Entries lie in pages, in order:
//
//   page 0          page 1          page 2                  A full last page is followed by another one: growing copies nothing.
//   ┌─────────────┬───────────────┬──────────┄┄┄┄┐          A page whose entries are all gone is given back. Two neighbours
//   │ gone │ live │ live and gone │ live     free│          with no more live entries than one can hold become one.
//   └──────┴──────┴───────────────┴──────────┴┄┄┄┘          A short queue has one small page and compacts or doubles it.
//        front                             back
//
// An ordinal names an entry: its page's number and its slot there. Ordinals grow with every push and change when pages go, merge or
// are compacted, which happens in `push` and `tidy` only.

const SMALLEST_PAGE_ENTRIES = 16;
const PAGE_GROWTH = 4;
/** Settled entries looked at one by one before a native search takes over. */
const SCAN_STEPS = 8;
/** Neighbours looked at for a merge each time; at most one pair is merged, so that nobody waits for it. */
const PAIRS_PER_LOOK = 16;
/** In the place of a page that was given back, until the pages are numbered anew. */
const NO_PAGE = new IndexPage(0);

/**
 * The messages of one queue, in the order of their sequence numbers. Owns no I/O. 26 bytes an entry; a `Message` object hangs on an
 * entry only while it is in memory.
 */
export class QueueIndex {
  #pages: IndexPage[] = [];
  /** The page that `push` fills, and the ordinal at which it is full. */
  #last = NO_PAGE;
  #room = 0;
  /** Pages at the beginning that were given back. */
  #released = 0;
  /** Where the search for pages to merge goes on. */
  #hand = 0;
  #hasExpiries = false;
  /** The highest sequence of an entry that was ever without its message in memory. */
  #absentUpTo = 0;

  #front = 0;
  #back = 0;
  /** Holds at all times: no entry before it is ready. */
  #cursor = 0;
  #readyCount = 0;
  #heldCount = 0;
  #readyBytes = 0;
  #heldBytes = 0;
  #looseCount = 0;

  get readyCount(): number {
    return this.#readyCount;
  }

  get heldCount(): number {
    return this.#heldCount;
  }

  /** Body bytes of what is ready. */
  get readyBytes(): number {
    return this.#readyBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Messages in memory that the relief has not looked at. */
  get looseCount(): number {
    return this.#looseCount;
  }

  /** Entries there is memory for. */
  get capacity(): number {
    return this.#pages.reduce((sum, { capacity }) => sum + capacity, 0);
  }

  /** First ordinal and the one after the last; entries between may be gone. */
  get front(): number {
    return this.#front;
  }

  get back(): number {
    return this.#back;
  }

  /** Appends a ready entry; its sequence is above every earlier one. Returns its ordinal. */
  push(
    sequence: number,
    position: number,
    recordBytes: number,
    bodyBytes: number,
    expiresAt: number,
    flags: number,
    message: Message | undefined,
  ): number {
    if (this.#back === this.#room) this.#makeRoom();

    const ordinal = this.#back++;
    const page = this.#last;
    const slot = ordinal & PAGE_MASK;
    page.sequences[slot] = sequence;
    page.positions[slot] = position;
    page.recordBytes[slot] = recordBytes;
    page.bodyBytes[slot] = bodyBytes;
    page.states[slot] = READY;
    page.flags[slot] = flags;
    page.live++;
    if (message !== undefined) this.#hang(page, slot, message);
    else this.#absentUpTo = sequence;
    if (expiresAt !== 0) this.#hasExpiries = true;
    if (this.#hasExpiries) page.setExpiry(slot, expiresAt);
    if (page.failures !== undefined) page.failures[slot] = 0;
    this.#readyCount++;
    this.#readyBytes += bodyBytes;
    return ordinal;
  }

  /** The ordinal of a live entry, or -1. At the head at once, near it soon: what is settled mostly is. */
  find(sequence: number): number {
    let low = this.#front;
    if (low === this.#back) return -1;
    if (this.sequenceAt(low) < sequence) {
      let step = 1;
      let high = low + 1;
      while (high < this.#back && this.sequenceAt(high) < sequence) {
        low = high;
        step *= 2;
        high = low + step;
      }
      high = Math.min(high, this.#back - 1);
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (this.sequenceAt(middle) < sequence) low = middle + 1;
        else high = middle;
      }
    }
    return this.sequenceAt(low) === sequence && this.#stateAt(low) !== GONE ? low : -1;
  }

  /** The same, for one that is mostly the next after `ordinal`. */
  findAfter(ordinal: number, sequence: number): number {
    const next = ordinal + 1;
    if (next <= this.#front || next >= this.#back || this.sequenceAt(next) !== sequence) return this.find(sequence);
    return this.#stateAt(next) === GONE ? -1 : next;
  }

  /** All that is ready is in memory: the next one pushed need not be read back if it stays there too. */
  get isResident(): boolean {
    return this.#readyCount === 0 || this.sequenceAt(this.nextReady()) > this.#absentUpTo;
  }

  /** The first ready entry, or -1. */
  nextReady(): number {
    if (this.#readyCount === 0) {
      this.#cursor = this.#back;
      return -1;
    }
    this.#cursor = this.#readyFrom(this.#cursor);
    return this.#cursor;
  }

  /** The first ready entry after `ordinal`, or -1. */
  nextReadyAfter(ordinal: number): number {
    const next = this.#readyFrom(ordinal + 1);
    return next < this.#back ? next : -1;
  }

  /** ready → held. */
  take(ordinal: number): void {
    const page = this.#pageOf(ordinal);
    const slot = ordinal & PAGE_MASK;
    page.states[slot] = HELD;
    const bytes = page.bodyBytes[slot]!;
    this.#readyCount--;
    this.#readyBytes -= bytes;
    this.#heldCount++;
    this.#heldBytes += bytes;
  }

  /** held → ready, at its original place. */
  restore(ordinal: number): void {
    const page = this.#pageOf(ordinal);
    const slot = ordinal & PAGE_MASK;
    page.states[slot] = READY;
    const bytes = page.bodyBytes[slot]!;
    this.#readyCount++;
    this.#readyBytes += bytes;
    this.#heldCount--;
    this.#heldBytes -= bytes;
    if (ordinal < this.#cursor) this.#cursor = ordinal;
  }

  /** ready or held → gone. */
  settle(ordinal: number): void {
    const page = this.#pageOf(ordinal);
    const slot = ordinal & PAGE_MASK;
    const bytes = page.bodyBytes[slot]!;
    if (page.states[slot] === READY) {
      this.#readyCount--;
      this.#readyBytes -= bytes;
    } else {
      this.#heldCount--;
      this.#heldBytes -= bytes;
    }
    page.states[slot] = GONE;
    page.live--;
    page.unhang(slot);
    this.#tighten(page, slot);
    if (ordinal === this.#front) this.#trim();
  }

  isHeld(ordinal: number): boolean {
    return this.#stateAt(ordinal) === HELD;
  }

  isReady(ordinal: number): boolean {
    return this.#stateAt(ordinal) === READY;
  }

  sequenceAt(ordinal: number): number {
    return this.#pageOf(ordinal).sequences[ordinal & PAGE_MASK]!;
  }

  positionAt(ordinal: number): number {
    return this.#pageOf(ordinal).positions[ordinal & PAGE_MASK]!;
  }

  /** The log has rewritten the record elsewhere. */
  movePosition(ordinal: number, position: number): void {
    this.#pageOf(ordinal).positions[ordinal & PAGE_MASK] = position;
  }

  recordBytesAt(ordinal: number): number {
    return this.#pageOf(ordinal).recordBytes[ordinal & PAGE_MASK]!;
  }

  bodyBytesAt(ordinal: number): number {
    return this.#pageOf(ordinal).bodyBytes[ordinal & PAGE_MASK]!;
  }

  /** The body has been read: its size was only estimated until now. */
  correctBodyBytes(ordinal: number, bytes: number): void {
    const page = this.#pageOf(ordinal);
    const slot = ordinal & PAGE_MASK;
    const change = bytes - page.bodyBytes[slot]!;
    page.bodyBytes[slot] = bytes;
    if (page.states[slot] === READY) this.#readyBytes += change;
    else this.#heldBytes += change;
  }

  expiresAt(ordinal: number): number {
    if (!this.#hasExpiries) return 0;
    const { expiresAt } = this.#pageOf(ordinal);
    return expiresAt === undefined ? 0 : expiresAt[ordinal & PAGE_MASK]!;
  }

  /** Whether an entry may have an expiry. */
  get hasExpiries(): boolean {
    return this.#hasExpiries;
  }

  isLogged(ordinal: number): boolean {
    return (this.#flagsAt(ordinal) & LOGGED) !== 0;
  }

  isRedelivered(ordinal: number): boolean {
    return (this.#flagsAt(ordinal) & REDELIVERED) !== 0;
  }

  markRedelivered(ordinal: number): void {
    this.#pageOf(ordinal).flags[ordinal & PAGE_MASK]! |= REDELIVERED;
  }

  failuresAt(ordinal: number): number {
    const { failures } = this.#pageOf(ordinal);
    return failures === undefined ? 0 : failures[ordinal & PAGE_MASK]!;
  }

  addFailure(ordinal: number): number {
    return this.#pageOf(ordinal).addFailure(ordinal & PAGE_MASK);
  }

  messageAt(ordinal: number): Message | undefined {
    const { messages } = this.#pageOf(ordinal);
    return messages === undefined ? undefined : messages[ordinal & PAGE_MASK];
  }

  /** `undefined`: it leaves memory. */
  setMessage(ordinal: number, message: Message | undefined): void {
    const page = this.#pageOf(ordinal);
    const slot = ordinal & PAGE_MASK;
    if (message !== undefined) {
      this.#hang(page, slot, message);
      return;
    }
    page.unhang(slot);
    this.#tighten(page, slot);
    this.#absentUpTo = Math.max(this.#absentUpTo, page.sequences[slot]!);
    // Of a long queue most pages have no message in memory, and then need no column for them.
    if (page.hung === 0) page.messages = undefined;
  }

  /** The last loose entry before `ordinal`, or -1. */
  lastLooseBefore(ordinal: number): number {
    if (this.#looseCount === 0) return -1;
    let last = ordinal - 1;
    while (last >= this.#front) {
      const page = this.#pageOf(last);
      if (page.loose === 0) {
        last = (last & ~PAGE_MASK) - 1;
        continue;
      }
      if ((page.flags[last & PAGE_MASK]! & LOOSE) !== 0) return last;
      last--;
    }
    return -1;
  }

  /** Its message stays in memory. */
  keep(ordinal: number): void {
    this.#tighten(this.#pageOf(ordinal), ordinal & PAGE_MASK);
  }

  /** Gives memory back after a backlog has drained, a little at a time. Ordinals held by the caller are void afterwards. */
  tidy(): void {
    if (this.#last.capacity < PAGE_ENTRIES) return;
    this.#dropReleased();
    if (this.#readyCount + this.#heldCount > 0) {
      this.#mergePair();
      return;
    }
    for (const page of this.#pages) givePageBack(page);
    this.#pages = [];
    this.#last = NO_PAGE;
    this.#room = 0;
    this.#startAnew();
  }

  #pageOf(ordinal: number): IndexPage {
    return this.#pages[ordinal >>> PAGE_SHIFT]!;
  }

  #stateAt(ordinal: number): number {
    return this.#pageOf(ordinal).states[ordinal & PAGE_MASK]!;
  }

  #flagsAt(ordinal: number): number {
    return this.#pageOf(ordinal).flags[ordinal & PAGE_MASK]!;
  }

  #hang(page: IndexPage, slot: number, message: Message): void {
    page.hang(slot, message);
    if ((page.flags[slot]! & LOOSE) !== 0) return;
    page.flags[slot]! |= LOOSE;
    page.loose++;
    this.#looseCount++;
  }

  #tighten(page: IndexPage, slot: number): void {
    if ((page.flags[slot]! & LOOSE) === 0) return;
    page.flags[slot]! &= ~LOOSE;
    page.loose--;
    this.#looseCount--;
  }

  #makeRoom(): void {
    this.#dropReleased();
    const live = this.#readyCount + this.#heldCount;
    if (live === 0 && this.#pages.length === 1) {
      this.#startAnew();
    } else if (this.#pages.length === 1 && live * 2 <= this.#last.capacity) {
      this.#moveAllTo(this.#last);
    } else if (this.#last.capacity < PAGE_ENTRIES) {
      const entries = Math.max(SMALLEST_PAGE_ENTRIES, this.#last.capacity * PAGE_GROWTH);
      this.#moveAllTo(entries === PAGE_ENTRIES ? takePage() : new IndexPage(entries));
    } else {
      this.#mergePair();
      this.#last = takePage();
      this.#pages.push(this.#last);
      this.#room = this.#pages.length * PAGE_ENTRIES;
    }
  }

  /** No entry is left in the one page there is, if any. */
  #startAnew(): void {
    this.#front = 0;
    this.#back = 0;
    this.#cursor = 0;
    this.#hasExpiries = false;
    this.#last.clear();
  }

  /** All entries of the only page go to the beginning of `page`, which may be the same. */
  #moveAllTo(page: IndexPage): void {
    const old = this.#last;
    this.#back = page.takeLive(old, this.#back, 0);
    this.#pages = [page];
    this.#last = page;
    this.#room = page.capacity;
    this.#front = 0;
    this.#cursor = 0;
  }

  /** Makes one page of two neighbours that fit into one, if there are such among the next few. The last page is left alone. */
  #mergePair(): void {
    const pairs = this.#pages.length - 2;
    for (let looks = Math.min(PAIRS_PER_LOOK, pairs); looks > 0; looks--) {
      if (this.#hand >= pairs) this.#hand = 0;
      const [page, next] = [this.#pages[this.#hand]!, this.#pages[this.#hand + 1]!];
      if (page.live + next.live <= PAGE_ENTRIES) {
        this.#merge(this.#hand, page, next);
        return;
      }
      this.#hand++;
    }
  }

  #merge(number: number, page: IndexPage, next: IndexPage): void {
    const end = page.takeLive(next, PAGE_ENTRIES, page.takeLive(page, PAGE_ENTRIES, 0));
    page.states.fill(GONE, end);
    page.flags.fill(0, end);
    // `find` needs them in order to the end.
    page.sequences.fill(end === 0 ? 0 : page.sequences[end - 1]!, end);
    this.#pages.splice(number + 1, 1);
    givePageBack(next);

    const start = number << PAGE_SHIFT;
    const renumbered = (ordinal: number) =>
      ordinal < start + 2 * PAGE_ENTRIES ? Math.min(ordinal, start) : ordinal - PAGE_ENTRIES;
    this.#front = renumbered(this.#front);
    this.#cursor = renumbered(this.#cursor);
    this.#back -= PAGE_ENTRIES;
    this.#room -= PAGE_ENTRIES;
    this.#trim();
  }

  #trim(): void {
    while (this.#front < this.#back && this.#stateAt(this.#front) === GONE) this.#front++;
    if (this.#cursor < this.#front) this.#cursor = this.#front;
    const pagesBefore = this.#front >>> PAGE_SHIFT;
    while (this.#released < pagesBefore) {
      givePageBack(this.#pages[this.#released]!);
      this.#pages[this.#released++] = NO_PAGE;
    }
  }

  #dropReleased(): void {
    if (this.#released === 0) return;
    this.#pages.splice(0, this.#released);
    const entries = this.#released * PAGE_ENTRIES;
    this.#released = 0;
    this.#hand = 0;
    this.#front -= entries;
    this.#back -= entries;
    this.#cursor -= entries;
    this.#room -= entries;
    this.#last = this.#pages.at(-1) ?? NO_PAGE;
  }

  #readyFrom(ordinal: number): number {
    let next = ordinal;
    const steps = Math.min(this.#back, ordinal + SCAN_STEPS);
    while (next < steps) {
      if (this.#stateAt(next) === READY) return next;
      next++;
    }
    // A long run of held entries, as after a requeue far in front: search the states natively, one page at a time.
    while (next < this.#back) {
      const start = next & ~PAGE_MASK;
      const found = this.#pageOf(next).states.indexOf(READY, next - start);
      // Behind the last entry lies what a page held before.
      if (found !== -1) return Math.min(start + found, this.#back);
      next = start + PAGE_ENTRIES;
    }
    return this.#back;
  }
}
