/**
 * What one segment holds, payloads apart: gathered while it is written, kept in its footer, found again by scanning.
 * Columns of typed arrays, since a segment of small messages has hundreds of thousands of rows.
 */
export class SegmentContents {
  readonly placements = new PlacementRows();
  readonly acks = new AckRows();
  readonly marks = new MarkRows();
  readonly drops = new DropRows();
  /** Offsets of definition records. */
  readonly definitions = new OffsetRows();
  lastSequence = 0;
  /** Definitions in the opening snapshot, each counted once. */
  snapshotCount = 0;

  clear(): void {
    this.restore({ placements: 0, acks: 0, marks: 0, drops: 0, definitions: 0, lastSequence: 0 });
    this.snapshotCount = 0;
  }

  /** A point to come back to when what follows turns out not to count. */
  savepoint(): Savepoint {
    return {
      placements: this.placements.count,
      acks: this.acks.count,
      marks: this.marks.count,
      drops: this.drops.count,
      definitions: this.definitions.count,
      lastSequence: this.lastSequence,
    };
  }

  restore(savepoint: Savepoint): void {
    this.placements.count = savepoint.placements;
    this.acks.count = savepoint.acks;
    this.marks.count = savepoint.marks;
    this.drops.count = savepoint.drops;
    this.definitions.count = savepoint.definitions;
    this.lastSequence = savepoint.lastSequence;
  }
}

export interface Savepoint {
  placements: number;
  acks: number;
  marks: number;
  drops: number;
  definitions: number;
  lastSequence: number;
}

const FIRST_CAPACITY = 64;

/** One row per placement; the placements of one message follow each other and share its offset. */
export class PlacementRows {
  count = 0;
  sequences = new Float64Array(FIRST_CAPACITY);
  expiresAt = new Float64Array(FIRST_CAPACITY);
  /** Of the record, in the segment's file. */
  offsets = new Uint32Array(FIRST_CAPACITY);
  /** Payload bytes. */
  sizes = new Uint32Array(FIRST_CAPACITY);
  queues = new Uint32Array(FIRST_CAPACITY);
  /** Segment the record was copied from; 0 for a first copy. */
  sources = new Uint32Array(FIRST_CAPACITY);
  flags = new Uint8Array(FIRST_CAPACITY);

  add(
    sequence: number,
    offset: number,
    size: number,
    queue: number,
    expiresAt: number,
    flags: number,
    source: number,
  ): void {
    if (this.count === this.sequences.length) this.grow();
    const row = this.count++;
    this.sequences[row] = sequence;
    this.offsets[row] = offset;
    this.sizes[row] = size;
    this.queues[row] = queue;
    this.expiresAt[row] = expiresAt;
    this.flags[row] = flags;
    this.sources[row] = source;
  }

  /** The row after the last placement of the message that starts at `row`. */
  endOfMessage(row: number): number {
    let end = row + 1;
    while (end < this.count && this.offsets[end] === this.offsets[row]) end++;
    return end;
  }

  private grow(): void {
    const capacity = this.count * 2;
    this.sequences = grownDoubles(this.sequences, capacity);
    this.expiresAt = grownDoubles(this.expiresAt, capacity);
    this.offsets = grownWords(this.offsets, capacity);
    this.sizes = grownWords(this.sizes, capacity);
    this.queues = grownWords(this.queues, capacity);
    this.sources = grownWords(this.sources, capacity);
    const flags = new Uint8Array(capacity);
    flags.set(this.flags);
    this.flags = flags;
  }
}

export class AckRows {
  count = 0;
  sequences = new Float64Array(FIRST_CAPACITY);
  queues = new Uint32Array(FIRST_CAPACITY);
  /** Segment that held the message when it was acknowledged. */
  targets = new Uint32Array(FIRST_CAPACITY);

  add(queue: number, sequence: number, target: number): void {
    if (this.count === this.sequences.length) {
      this.sequences = grownDoubles(this.sequences, this.count * 2);
      this.queues = grownWords(this.queues, this.count * 2);
      this.targets = grownWords(this.targets, this.count * 2);
    }
    const row = this.count++;
    this.sequences[row] = sequence;
    this.queues[row] = queue;
    this.targets[row] = target;
  }
}

export class MarkRows {
  count = 0;
  sequences = new Float64Array(FIRST_CAPACITY);
  queues = new Uint32Array(FIRST_CAPACITY);

  add(queue: number, sequence: number): void {
    if (this.count === this.sequences.length) {
      this.sequences = grownDoubles(this.sequences, this.count * 2);
      this.queues = grownWords(this.queues, this.count * 2);
    }
    const row = this.count++;
    this.sequences[row] = sequence;
    this.queues[row] = queue;
  }
}

/** Dropped queues: every placement of `queues[row]` before position `befores[row]` is dead. */
export class DropRows {
  count = 0;
  befores = new Float64Array(FIRST_CAPACITY);
  queues = new Uint32Array(FIRST_CAPACITY);

  add(queue: number, before: number): void {
    if (this.count === this.befores.length) {
      this.befores = grownDoubles(this.befores, this.count * 2);
      this.queues = grownWords(this.queues, this.count * 2);
    }
    const row = this.count++;
    this.befores[row] = before;
    this.queues[row] = queue;
  }
}

export class OffsetRows {
  count = 0;
  offsets = new Uint32Array(FIRST_CAPACITY);

  add(offset: number): void {
    if (this.count === this.offsets.length) this.offsets = grownWords(this.offsets, this.count * 2);
    this.offsets[this.count++] = offset;
  }
}

function grownDoubles(column: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(capacity);
  grown.set(column);
  return grown;
}

function grownWords(column: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(capacity);
  grown.set(column);
  return grown;
}
