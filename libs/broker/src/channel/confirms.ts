/** What the channel sends: basic.ack or basic.nack for `upTo` and the `count` - 1 publishes before it. A nack is for one. */
export type SendConfirm = (kind: 'ack' | 'nack', upTo: number, count: number) => void;

const FIRST_CAPACITY = 16;

/**
 * Publishes waiting for their confirm, in publish order. Neighbours with the same answer form a run; a run goes out as one
 * confirm when the log is durable up to the run's offset. Strictly in order: so a `multiple` never covers a publish that
 * is not durable or was refused, and no tag is confirmed twice. Bounded by the publisher's flow control.
 */
export class Confirms {
  /** Last publish number of each run, its log offset (0: nothing to wait for), and whether it is a nack. */
  #lasts = new Float64Array(FIRST_CAPACITY);
  #offsets = new Float64Array(FIRST_CAPACITY);
  #nacks = new Uint8Array(FIRST_CAPACITY);
  #head = 0;
  #runs = 0;
  #published = 0;
  #confirmed = 0;
  /** Runs before it are closed: their offset no longer moves. */
  #isRunOpen = false;

  get unconfirmed(): number {
    return this.#published - this.#confirmed;
  }

  get isEmpty(): boolean {
    return this.#runs === 0;
  }

  /** Offset the first waiting run needs; 0 when none waits or it need not wait. */
  get neededOffset(): number {
    return this.#runs === 0 ? 0 : this.#offsets[this.#head]!;
  }

  /** The next publish of the channel was stored up to `offset`; 0 when it need not be durable. */
  accepted(offset: number): void {
    this.#published++;
    if (this.#isRunOpen) {
      const place = (this.#head + this.#runs - 1) & (this.#lasts.length - 1);
      if (this.#nacks[place] === 0) {
        this.#lasts[place] = this.#published;
        if (offset !== 0) this.#offsets[place] = offset;
        return;
      }
    }
    this.#add(offset, false);
    this.#isRunOpen = true;
  }

  /** The next publish of the channel was refused by a queue. */
  refused(): void {
    this.#published++;
    this.#add(0, true);
    this.#isRunOpen = false;
  }

  /** What is published from now on may wait for another sync. Called at the end of each read. */
  closeRun(): void {
    this.#isRunOpen = false;
  }

  /** Sends every confirm that is due. */
  send(durable: number, send: SendConfirm): void {
    let acked = this.#confirmed;
    while (this.#runs > 0 && this.#offsets[this.#head]! <= durable) {
      const last = this.#lasts[this.#head]!;
      const isNack = this.#nacks[this.#head] === 1;
      this.#head = (this.#head + 1) & (this.#lasts.length - 1);
      this.#runs--;
      if (isNack) {
        this.#sendAck(acked, send);
        send('nack', last, 1);
        this.#confirmed = last;
      }
      acked = last;
    }
    this.#sendAck(acked, send);
    if (this.#runs === 0) this.#isRunOpen = false;
  }

  #sendAck(upTo: number, send: SendConfirm): void {
    if (upTo === this.#confirmed) return;
    send('ack', upTo, upTo - this.#confirmed);
    this.#confirmed = upTo;
  }

  #add(offset: number, isNack: boolean): void {
    if (this.#runs === this.#lasts.length) this.#grow();
    const place = (this.#head + this.#runs) & (this.#lasts.length - 1);
    this.#lasts[place] = this.#published;
    this.#offsets[place] = offset;
    this.#nacks[place] = isNack ? 1 : 0;
    this.#runs++;
  }

  #grow(): void {
    const capacity = this.#lasts.length;
    const unrolled = <Numbers extends Float64Array | Uint8Array>(from: Numbers, into: Numbers): Numbers => {
      for (let index = 0; index < capacity; index++) into[index] = from[(this.#head + index) & (capacity - 1)]!;
      return into;
    };
    this.#lasts = unrolled(this.#lasts, new Float64Array(capacity * 2));
    this.#offsets = unrolled(this.#offsets, new Float64Array(capacity * 2));
    this.#nacks = unrolled(this.#nacks, new Uint8Array(capacity * 2));
    this.#head = 0;
  }
}
