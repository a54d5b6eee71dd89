import type { SegmentContents } from './contents.js';
import { positionOf } from './layout.js';
import type { Position, RecoveredQueue } from './types.js';

/** Bit 0 of a placement's flags as recovery hands them back: a marks record named it. */
export const MARKED = 1;

/**
 * Gathers what all segments hold and works out which placements are live.
 * Acks are a set and a drop names the position it reaches to, so the order in which segments are added does not matter;
 * ascending is fastest.
 */
export class RecoveredQueues {
  /** Complete after `finish`. */
  readonly stale: StaleCopy[] = [];
  private readonly queues = new Map<number, QueueGathering>();
  private last: QueueGathering | undefined;

  add(segment: number, contents: SegmentContents): void {
    const { placements, acks, marks, drops } = contents;
    for (let row = 0; row < placements.count; row++) {
      this.queueOf(placements.queues[row]!).add(
        placements.sequences[row]!,
        positionOf(segment, placements.offsets[row]!),
        placements.sizes[row]!,
        placements.expiresAt[row]!,
        placements.flags[row]!,
      );
    }
    for (let row = 0; row < acks.count; row++) this.queueOf(acks.queues[row]!).acked.add(acks.sequences[row]!);
    for (let row = 0; row < marks.count; row++) this.queueOf(marks.queues[row]!).marked.add(marks.sequences[row]!);
    for (let row = 0; row < drops.count; row++) {
      const dropped = this.queueOf(drops.queues[row]!);
      dropped.deadBefore = Math.max(dropped.deadBefore, drops.befores[row]!);
    }
  }

  /** Frees the gathering as it goes. */
  finish(): RecoveredQueue[] {
    this.last = undefined;
    const recovered: RecoveredQueue[] = [];
    for (const [number, gathering] of this.queues) {
      const queue = gathering.finish();
      if (queue.count > 0) recovered.push(queue);
      this.queues.delete(number);
    }
    return recovered.sort((one, other) => one.queue - other.queue);
  }

  private queueOf(queue: number): QueueGathering {
    if (this.last?.queue === queue) return this.last;
    let gathering = this.queues.get(queue);
    if (gathering === undefined) {
      gathering = new QueueGathering(queue, this.stale);
      this.queues.set(queue, gathering);
    }
    this.last = gathering;
    return gathering;
  }
}

/** An older copy of a live message that was moved: its file was about to go when the log ended. */
export interface StaleCopy {
  queue: number;
  sequence: number;
  position: Position;
}

class QueueGathering {
  readonly acked = new Sequences();
  readonly marked = new Sequences();
  deadBefore = 0;
  private count = 0;
  private sequences = new Float64Array(64);
  private positions = new Float64Array(64);
  private sizes = new Uint32Array(64);
  private expiresAt = new Float64Array(64);
  private flags = new Uint8Array(64);

  constructor(
    readonly queue: number,
    private readonly stale: StaleCopy[],
  ) {}

  add(sequence: number, position: number, size: number, expiresAt: number, flags: number): void {
    if (this.count === this.sequences.length) this.grow();
    const row = this.count++;
    this.sequences[row] = sequence;
    this.positions[row] = position;
    this.sizes[row] = size;
    this.expiresAt[row] = expiresAt;
    this.flags[row] = flags;
  }

  finish(): RecoveredQueue {
    const count = this.isAscending() ? this.keepLiveInPlace() : this.copyLive();
    const marked = this.marked.sorted();
    let mark = 0;
    for (let row = 0; mark < marked.length && row < count; row++) {
      while (mark < marked.length && marked[mark]! < this.sequences[row]!) mark++;
      if (marked[mark] === this.sequences[row]) this.flags[row]! |= MARKED;
    }
    return {
      queue: this.queue,
      count,
      sequences: this.sequences.subarray(0, count),
      positions: this.positions.subarray(0, count),
      sizes: this.sizes.subarray(0, count),
      expiresAt: this.expiresAt.subarray(0, count),
      flags: this.flags.subarray(0, count),
    };
  }

  /** No message was ever moved, which is how it nearly always is. */
  private isAscending(): boolean {
    for (let row = 1; row < this.count; row++) if (this.sequences[row]! <= this.sequences[row - 1]!) return false;
    return true;
  }

  /** Five million rows must not stand in memory twice. */
  private keepLiveInPlace(): number {
    const acked = this.acked.sorted();
    let ack = 0;
    let kept = 0;
    for (let row = 0; row < this.count; row++) {
      const sequence = this.sequences[row]!;
      while (ack < acked.length && acked[ack]! < sequence) ack++;
      if (acked[ack] === sequence || this.positions[row]! < this.deadBefore) continue;
      if (kept !== row) {
        this.sequences[kept] = sequence;
        this.positions[kept] = this.positions[row]!;
        this.sizes[kept] = this.sizes[row]!;
        this.expiresAt[kept] = this.expiresAt[row]!;
        this.flags[kept] = this.flags[row]!;
      }
      kept++;
    }
    return kept;
  }

  private copyLive(): number {
    const rows = this.liveRows();
    this.sequences = picked(this.sequences, rows, new Float64Array(rows.length));
    this.positions = picked(this.positions, rows, new Float64Array(rows.length));
    this.sizes = picked(this.sizes, rows, new Uint32Array(rows.length));
    this.expiresAt = picked(this.expiresAt, rows, new Float64Array(rows.length));
    this.flags = picked(this.flags, rows, new Uint8Array(rows.length));
    return rows.length;
  }

  /** Rows of live placements by sequence. Of two copies of a message the later one counts: the earlier file was about to go. */
  private liveRows(): Uint32Array {
    const rows = ascendingRows(this.sequences, this.count);
    const acked = this.acked.sorted();
    let ack = 0;
    let kept = 0;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      const sequence = this.sequences[row]!;
      while (ack < acked.length && acked[ack]! < sequence) ack++;
      if (acked[ack] === sequence || this.positions[row]! < this.deadBefore) continue;
      const previous = kept > 0 ? rows[kept - 1]! : -1;
      if (previous >= 0 && this.sequences[previous] === sequence) {
        const isNewer = this.positions[row]! > this.positions[previous]!;
        const older = isNewer ? previous : row;
        this.stale.push({ queue: this.queue, sequence, position: this.positions[older]! });
        if (isNewer) rows[kept - 1] = row;
      } else {
        rows[kept++] = row;
      }
    }
    return rows.subarray(0, kept);
  }

  private grow(): void {
    const capacity = this.count * 2;
    this.sequences = grown(this.sequences, new Float64Array(capacity));
    this.positions = grown(this.positions, new Float64Array(capacity));
    this.sizes = grown(this.sizes, new Uint32Array(capacity));
    this.expiresAt = grown(this.expiresAt, new Float64Array(capacity));
    this.flags = grown(this.flags, new Uint8Array(capacity));
  }
}

class Sequences {
  private count = 0;
  private values = new Float64Array(8);

  add(sequence: number): void {
    if (this.count === this.values.length) this.values = grown(this.values, new Float64Array(this.count * 2));
    this.values[this.count++] = sequence;
  }

  sorted(): Float64Array {
    return this.values.subarray(0, this.count).sort();
  }
}

function picked<T extends Float64Array | Uint32Array | Uint8Array>(column: T, rows: Uint32Array, into: T): T {
  for (let index = 0; index < rows.length; index++) into[index] = column[rows[index]!]!;
  return into;
}

function grown<T extends Float64Array | Uint32Array | Uint8Array>(column: T, larger: T): T {
  larger.set(column);
  return larger;
}

/**
 * Row numbers in ascending order of their sequence. Rows come as a few ascending runs (one of first copies, one per rewritten
 * segment), so runs are merged: sorting five million rows with a comparator takes longer than the whole rest of a start.
 */
export function ascendingRows(sequences: Float64Array, count: number): Uint32Array {
  let rows = new Uint32Array(count);
  let starts: number[] = [];
  for (let row = 0; row < count; row++) {
    rows[row] = row;
    if (row === 0 || sequences[row]! < sequences[row - 1]!) starts.push(row);
  }
  let spare = starts.length > 1 ? new Uint32Array(count) : rows;
  while (starts.length > 1) {
    const merged: number[] = [];
    for (let run = 0; run < starts.length; run += 2) {
      const from = starts[run]!;
      const middle = starts[run + 1] ?? count;
      mergeRuns(sequences, rows, spare, from, middle, starts[run + 2] ?? count);
      merged.push(from);
    }
    [rows, spare] = [spare, rows];
    starts = merged;
  }
  return rows;
}

function mergeRuns(
  sequences: Float64Array,
  rows: Uint32Array,
  into: Uint32Array,
  from: number,
  middle: number,
  to: number,
): void {
  let left = from;
  let right = middle;
  for (let index = from; index < to; index++) {
    const takeLeft = right >= to || (left < middle && sequences[rows[left]!]! <= sequences[rows[right]!]!);
    into[index] = takeLeft ? rows[left++]! : rows[right++]!;
  }
}
