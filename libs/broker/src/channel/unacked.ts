import type { SettlementQueue } from '../consumer.js';
import type { ChannelConsumer } from './channel-consumer.js';

/** A delivery the client has not settled. `consumer` is undefined for one fetched with basic.get. */
export interface Delivery {
  readonly tag: number;
  readonly queue: SettlementQueue;
  readonly sequence: number;
  readonly consumer: ChannelConsumer | undefined;
}

export type OnTaken = (
  queue: SettlementQueue,
  sequence: number,
  consumer: ChannelConsumer | undefined,
  tag: number,
) => void;

/** Whether a delivery that was held so long is one to look for. */
type FitsHeld = (heldMs: number, queue: SettlementQueue, consumer: ChannelConsumer | undefined) => boolean;

const MINUTE_MS = 60_000;
const FIRST_CAPACITY = 16;

/** How many deliveries one channel may hold unsettled, also with an unlimited prefetch. */
export const UNACKED_PER_CHANNEL_MAX = 1_000_000;

/**
 * The unsettled deliveries of one channel by rising delivery tag: a ring of parallel arrays. Clients settle mostly the
 * oldest; one taken from the middle leaves a gap that goes when it reaches the head.
 */
export class UnackedDeliveries {
  #tags = new Float64Array(FIRST_CAPACITY);
  #sequences = new Float64Array(FIRST_CAPACITY);
  /** `minute` when it was added. */
  #minutes = new Uint32Array(FIRST_CAPACITY);
  /** `undefined` marks a gap. */
  #queues: (SettlementQueue | undefined)[] = new Array(FIRST_CAPACITY);
  #consumers: (ChannelConsumer | undefined)[] = new Array(FIRST_CAPACITY);
  #head = 0;
  /** Places in use, gaps included. */
  #length = 0;
  #count = 0;
  /** Counted up by the owner, who thereby times what is held: no clock is asked for each delivery. */
  minute = 0;

  get count(): number {
    return this.#count;
  }

  /** `tag` is above all tags before. */
  add(tag: number, queue: SettlementQueue, sequence: number, consumer: ChannelConsumer | undefined): void {
    if (this.#length === this.#tags.length) this.#makeRoom();
    const place = (this.#head + this.#length) & (this.#tags.length - 1);
    this.#tags[place] = tag;
    this.#sequences[place] = sequence;
    this.#minutes[place] = this.minute;
    this.#queues[place] = queue;
    this.#consumers[place] = consumer;
    this.#length++;
    this.#count++;
  }

  /** Takes the delivery of that tag. False when the tag is unknown or settled. */
  takeOne(tag: number, onTaken: OnTaken): boolean {
    const index = this.#indexOf(tag);
    const place = (this.#head + index) & (this.#tags.length - 1);
    if (index === this.#length || this.#tags[place] !== tag || this.#queues[place] === undefined) return false;
    this.#takeAt(place, onTaken);
    this.#dropGapsAtHead();
    return true;
  }

  /** Takes all up to and including that tag, oldest first; 0 takes all. False when `tag` itself is unknown or settled. */
  takeUpTo(tag: number, onTaken: OnTaken): boolean {
    const last = tag === 0 ? this.#length - 1 : this.#indexOf(tag);
    const mask = this.#tags.length - 1;
    if (tag !== 0) {
      const place = (this.#head + last) & mask;
      if (last === this.#length || this.#tags[place] !== tag || this.#queues[place] === undefined) return false;
    }
    for (let index = 0; index <= last; index++) {
      const place = (this.#head + index) & mask;
      if (this.#queues[place] !== undefined) this.#takeAt(place, onTaken);
    }
    this.#dropGapsAtHead();
    return true;
  }

  /** Puts deliveries back that were taken, as a rolled back transaction does. */
  restore(deliveries: readonly Delivery[]): void {
    const all: Delivery[] = [...deliveries];
    this.takeUpTo(0, (queue, sequence, consumer, tag) => all.push({ tag, queue, sequence, consumer }));
    all.sort((a, b) => a.tag - b.tag);
    for (const { tag, queue, sequence, consumer } of all) this.add(tag, queue, sequence, consumer);
  }

  /** A delivery that fits; `heldMs` is never more than the time it was really held, and at most two minutes less. */
  findHeld(fits: FitsHeld): { queue: SettlementQueue; consumer: ChannelConsumer | undefined } | undefined {
    for (const place of this.#placesHeldAMinute()) {
      const queue = this.#queues[place]!;
      const consumer = this.#consumers[place];
      if (fits(this.#heldMs(place), queue, consumer)) return { queue, consumer };
    }
    return undefined;
  }

  /** Gives those that fit another queue, which settles them from now on; the old one's are handed to `onTaken`. */
  takeBack(fits: FitsHeld, instead: SettlementQueue, onTaken: OnTaken): void {
    for (const place of this.#placesHeldAMinute()) {
      const queue = this.#queues[place]!;
      const consumer = this.#consumers[place];
      if (!fits(this.#heldMs(place), queue, consumer)) continue;
      this.#queues[place] = instead;
      onTaken(queue, this.#sequences[place]!, consumer, this.#tags[place]!);
    }
  }

  *#placesHeldAMinute(): Generator<number> {
    for (let index = 0; index < this.#length; index++) {
      const place = (this.#head + index) & (this.#tags.length - 1);
      if (this.#queues[place] !== undefined && this.#heldMs(place) > 0) yield place;
    }
  }

  /** The minute it came in does not count: it may just have ended. */
  #heldMs(place: number): number {
    return (this.minute - this.#minutes[place]! - 1) * MINUTE_MS;
  }

  #takeAt(place: number, onTaken: OnTaken): void {
    const queue = this.#queues[place]!;
    const consumer = this.#consumers[place];
    this.#queues[place] = undefined;
    this.#consumers[place] = undefined;
    this.#count--;
    onTaken(queue, this.#sequences[place]!, consumer, this.#tags[place]!);
  }

  /** Index from the head of the first tag not below `tag`. */
  #indexOf(tag: number): number {
    const mask = this.#tags.length - 1;
    if (this.#length > 0 && this.#tags[this.#head] === tag) return 0;
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#tags[(this.#head + middle) & mask]! < tag) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #dropGapsAtHead(): void {
    const mask = this.#tags.length - 1;
    while (this.#length > 0 && this.#queues[this.#head] === undefined) {
      this.#head = (this.#head + 1) & mask;
      this.#length--;
    }
  }

  /** Closes the gaps when they are at least half of all places, else doubles. */
  #makeRoom(): void {
    const old = {
      tags: this.#tags,
      sequences: this.#sequences,
      minutes: this.#minutes,
      queues: this.#queues,
      consumers: this.#consumers,
    };
    const mask = old.tags.length - 1;
    const capacity = this.#count * 2 <= old.tags.length ? old.tags.length : old.tags.length * 2;
    const head = this.#head;
    const length = this.#length;
    this.#tags = new Float64Array(capacity);
    this.#sequences = new Float64Array(capacity);
    this.#minutes = new Uint32Array(capacity);
    this.#queues = new Array(capacity);
    this.#consumers = new Array(capacity);
    this.#head = 0;
    this.#length = 0;
    this.#count = 0;
    for (let index = 0; index < length; index++) {
      const place = (head + index) & mask;
      const queue = old.queues[place];
      if (queue === undefined) continue;
      this.add(old.tags[place]!, queue, old.sequences[place]!, old.consumers[place]);
      // The head is at 0 now.
      this.#minutes[this.#length - 1] = old.minutes[place]!;
    }
  }
}
