import type { Message } from '../message.js';

// The life of an entry:
//
//   push ──▶ ready ──take──▶ held (a consumer has it, or it is being dead-lettered) ──settle──▶ gone
//              ▲               │
//              └───restore─────┘   at its original place, marked redelivered
//
// Entries live in a ring of typed arrays. An ordinal names an entry: it grows with every push, and `ordinal & mask` is its slot.
// Ordinals are renumbered when the ring grows, is compacted or shrinks, which happens in `push` and `tidy` only.

const GONE = 0;
const READY = 1;
const HELD = 2;

export const REDELIVERED = 1;
/** The message is in the log and must be acknowledged there. */
export const LOGGED = 2;
/** Its message is in memory and may have to leave it. */
const LOOSE = 4;

const CAPACITY_MIN = 16;
/** Below this capacity a drained ring is not worth giving back. */
const SHRINK_CAPACITY_MIN = 4096;
/** Settled entries looked at one by one before a native search takes over. */
const SCAN_STEPS = 8;

/**
 * The messages of one queue, in the order of their sequence numbers. Owns no I/O. About 40 bytes an entry; a `Message` object hangs on
 * an entry only while it is in memory.
 */
export class QueueIndex {
  #capacity = CAPACITY_MIN;
  #mask = CAPACITY_MIN - 1;
  #sequences = new Float64Array(CAPACITY_MIN);
  #positions = new Float64Array(CAPACITY_MIN);
  #recordBytes = new Uint32Array(CAPACITY_MIN);
  #bodyBytes = new Uint32Array(CAPACITY_MIN);
  #states = new Uint8Array(CAPACITY_MIN);
  #flags = new Uint8Array(CAPACITY_MIN);
  #messages: (Message | undefined)[] = new Array(CAPACITY_MIN).fill(undefined);
  /** Only queues that need them pay for these two. */
  #expiresAt: Float64Array | undefined;
  #failures: Uint32Array | undefined;

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

  get capacity(): number {
    return this.#capacity;
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
    if (this.#back - this.#front === this.#capacity) this.#makeRoom();

    const ordinal = this.#back++;
    const slot = ordinal & this.#mask;
    this.#sequences[slot] = sequence;
    this.#positions[slot] = position;
    this.#recordBytes[slot] = recordBytes;
    this.#bodyBytes[slot] = bodyBytes;
    this.#states[slot] = READY;
    this.#flags[slot] = flags;
    this.#hang(slot, message);
    if (expiresAt !== 0) this.#expiresAt ??= new Float64Array(this.#capacity);
    if (this.#expiresAt !== undefined) this.#expiresAt[slot] = expiresAt;
    if (this.#failures !== undefined) this.#failures[slot] = 0;
    this.#readyCount++;
    this.#readyBytes += bodyBytes;
    return ordinal;
  }

  /** The ordinal of a live entry, or -1. At the head at once, else by binary search. */
  find(sequence: number): number {
    let low = this.#front;
    let high = this.#back - 1;
    if (high < low) return -1;
    if (this.#sequences[low & this.#mask] !== sequence) {
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        if (this.#sequences[middle & this.#mask]! < sequence) low = middle + 1;
        else high = middle;
      }
    }
    const slot = low & this.#mask;
    return this.#sequences[slot] === sequence && this.#states[slot] !== GONE ? low : -1;
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
    const slot = ordinal & this.#mask;
    this.#states[slot] = HELD;
    const bytes = this.#bodyBytes[slot]!;
    this.#readyCount--;
    this.#readyBytes -= bytes;
    this.#heldCount++;
    this.#heldBytes += bytes;
  }

  /** held → ready, at its original place. */
  restore(ordinal: number): void {
    const slot = ordinal & this.#mask;
    this.#states[slot] = READY;
    const bytes = this.#bodyBytes[slot]!;
    this.#readyCount++;
    this.#readyBytes += bytes;
    this.#heldCount--;
    this.#heldBytes -= bytes;
    if (ordinal < this.#cursor) this.#cursor = ordinal;
  }

  /** ready or held → gone. */
  settle(ordinal: number): void {
    const slot = ordinal & this.#mask;
    const bytes = this.#bodyBytes[slot]!;
    if (this.#states[slot] === READY) {
      this.#readyCount--;
      this.#readyBytes -= bytes;
    } else {
      this.#heldCount--;
      this.#heldBytes -= bytes;
    }
    this.#states[slot] = GONE;
    this.#hang(slot, undefined);
    if (ordinal === this.#front) this.#trim();
  }

  isHeld(ordinal: number): boolean {
    return this.#states[ordinal & this.#mask] === HELD;
  }

  isReady(ordinal: number): boolean {
    return this.#states[ordinal & this.#mask] === READY;
  }

  sequenceAt(ordinal: number): number {
    return this.#sequences[ordinal & this.#mask]!;
  }

  positionAt(ordinal: number): number {
    return this.#positions[ordinal & this.#mask]!;
  }

  /** The log has rewritten the record elsewhere. */
  movePosition(ordinal: number, position: number): void {
    this.#positions[ordinal & this.#mask] = position;
  }

  recordBytesAt(ordinal: number): number {
    return this.#recordBytes[ordinal & this.#mask]!;
  }

  bodyBytesAt(ordinal: number): number {
    return this.#bodyBytes[ordinal & this.#mask]!;
  }

  /** The body has been read: its size was only estimated until now. */
  correctBodyBytes(ordinal: number, bytes: number): void {
    const slot = ordinal & this.#mask;
    const change = bytes - this.#bodyBytes[slot]!;
    this.#bodyBytes[slot] = bytes;
    if (this.#states[slot] === READY) this.#readyBytes += change;
    else this.#heldBytes += change;
  }

  expiresAt(ordinal: number): number {
    return this.#expiresAt === undefined ? 0 : this.#expiresAt[ordinal & this.#mask]!;
  }

  /** Whether an entry may have an expiry. */
  get hasExpiries(): boolean {
    return this.#expiresAt !== undefined;
  }

  isLogged(ordinal: number): boolean {
    return (this.#flags[ordinal & this.#mask]! & LOGGED) !== 0;
  }

  isRedelivered(ordinal: number): boolean {
    return (this.#flags[ordinal & this.#mask]! & REDELIVERED) !== 0;
  }

  markRedelivered(ordinal: number): void {
    this.#flags[ordinal & this.#mask]! |= REDELIVERED;
  }

  failuresAt(ordinal: number): number {
    return this.#failures === undefined ? 0 : this.#failures[ordinal & this.#mask]!;
  }

  addFailure(ordinal: number): number {
    this.#failures ??= new Uint32Array(this.#capacity);
    const slot = ordinal & this.#mask;
    this.#failures[slot]!++;
    return this.#failures[slot]!;
  }

  messageAt(ordinal: number): Message | undefined {
    return this.#messages[ordinal & this.#mask];
  }

  setMessage(ordinal: number, message: Message | undefined): void {
    this.#hang(ordinal & this.#mask, message);
  }

  /** The last loose entry before `ordinal`, or -1. */
  lastLooseBefore(ordinal: number): number {
    if (this.#looseCount === 0) return -1;
    let last = ordinal - 1;
    while (last >= this.#front && (this.#flags[last & this.#mask]! & LOOSE) === 0) last--;
    return last < this.#front ? -1 : last;
  }

  /** Its message stays in memory. */
  keep(ordinal: number): void {
    this.#tighten(ordinal & this.#mask);
  }

  /** Gives memory back after a backlog has drained. Ordinals held by the caller are void afterwards. */
  tidy(): void {
    const live = this.#readyCount + this.#heldCount;
    if (this.#capacity >= SHRINK_CAPACITY_MIN && live * 8 < this.#capacity) {
      this.#rebuild(capacityFor(live * 2));
    }
  }

  #hang(slot: number, message: Message | undefined): void {
    this.#messages[slot] = message;
    if (message === undefined) {
      this.#tighten(slot);
    } else if ((this.#flags[slot]! & LOOSE) === 0) {
      this.#flags[slot]! |= LOOSE;
      this.#looseCount++;
    }
  }

  #tighten(slot: number): void {
    if ((this.#flags[slot]! & LOOSE) === 0) return;
    this.#flags[slot]! &= ~LOOSE;
    this.#looseCount--;
  }

  #makeRoom(): void {
    const live = this.#readyCount + this.#heldCount;
    this.#rebuild(live * 2 <= this.#capacity ? this.#capacity : this.#capacity * 2);
  }

  /** Copies the live entries, in order, into arrays of `capacity`. */
  #rebuild(capacity: number): void {
    const old = {
      mask: this.#mask,
      sequences: this.#sequences,
      positions: this.#positions,
      recordBytes: this.#recordBytes,
      bodyBytes: this.#bodyBytes,
      states: this.#states,
      flags: this.#flags,
      messages: this.#messages,
      expiresAt: this.#expiresAt,
      failures: this.#failures,
    };
    this.#capacity = capacity;
    this.#mask = capacity - 1;
    this.#sequences = new Float64Array(capacity);
    this.#positions = new Float64Array(capacity);
    this.#recordBytes = new Uint32Array(capacity);
    this.#bodyBytes = new Uint32Array(capacity);
    this.#states = new Uint8Array(capacity);
    this.#flags = new Uint8Array(capacity);
    this.#messages = new Array(capacity).fill(undefined);
    const live = this.#readyCount + this.#heldCount;
    this.#expiresAt = old.expiresAt !== undefined && live > 0 ? new Float64Array(capacity) : undefined;
    this.#failures = old.failures !== undefined && live > 0 ? new Uint32Array(capacity) : undefined;

    let to = 0;
    let cursor = -1;
    for (let ordinal = this.#front; ordinal < this.#back; ordinal++) {
      const from = ordinal & old.mask;
      if (old.states[from] === GONE) continue;
      if (cursor === -1 && old.states[from] === READY) cursor = to;
      this.#sequences[to] = old.sequences[from]!;
      this.#positions[to] = old.positions[from]!;
      this.#recordBytes[to] = old.recordBytes[from]!;
      this.#bodyBytes[to] = old.bodyBytes[from]!;
      this.#states[to] = old.states[from]!;
      this.#flags[to] = old.flags[from]!;
      this.#messages[to] = old.messages[from];
      if (this.#expiresAt !== undefined) this.#expiresAt[to] = old.expiresAt![from]!;
      if (this.#failures !== undefined) this.#failures[to] = old.failures![from]!;
      to++;
    }
    this.#front = 0;
    this.#back = to;
    this.#cursor = cursor === -1 ? to : cursor;
  }

  #trim(): void {
    while (this.#front < this.#back && this.#states[this.#front & this.#mask] === GONE) this.#front++;
    if (this.#cursor < this.#front) this.#cursor = this.#front;
  }

  #readyFrom(ordinal: number): number {
    let next = ordinal;
    const steps = Math.min(this.#back, ordinal + SCAN_STEPS);
    while (next < steps) {
      if (this.#states[next & this.#mask] === READY) return next;
      next++;
    }
    // A long run of held entries, as after a requeue far in front: search the states natively, one stretch of the ring at a time.
    while (next < this.#back) {
      const slot = next & this.#mask;
      const stretch = Math.min(this.#back - next, this.#capacity - slot);
      const found = this.#states.subarray(slot, slot + stretch).indexOf(READY);
      if (found !== -1) return next + found;
      next += stretch;
    }
    return this.#back;
  }
}

function capacityFor(entries: number): number {
  let capacity = CAPACITY_MIN;
  while (capacity < entries) capacity *= 2;
  return capacity;
}
