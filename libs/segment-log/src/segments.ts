import type { SegmentContents } from './contents.js';
import { positionOf, segmentOf } from './layout.js';
import type { Segment } from './segment.js';
import type { Position, RecoveredQueue } from './types.js';

/** All segments whose files exist, by number; keeps count of what lives in them and of which speaks of which. */
export class Segments {
  private readonly byNumber = new Map<number, Segment>();
  private lastTold: { segment: Segment | undefined; target: number } = { segment: undefined, target: 0 };

  get all(): IterableIterator<Segment> {
    return this.byNumber.values();
  }

  get count(): number {
    return this.byNumber.size;
  }

  add(segment: Segment): void {
    this.byNumber.set(segment.number, segment);
  }

  find(number: number): Segment | undefined {
    return this.byNumber.get(number);
  }

  /** The file is gone, durably. */
  remove(segment: Segment): void {
    segment.state = 'gone';
    this.byNumber.delete(segment.number);
    for (const other of this.all) {
      other.speaksOf.delete(segment.number);
      other.sources.delete(segment.number);
    }
  }

  /** Notes that `segment` holds an ack of a message that lies in `target`. */
  speaksOf(segment: Segment, target: number): void {
    if (this.lastTold.segment === segment && this.lastTold.target === target) return;
    this.lastTold = { segment, target };
    if (target !== segment.number && this.byNumber.has(target)) segment.speaksOf.add(target);
  }

  /** Notes that `segment` holds the drop of a queue. */
  speaksOfQueue(segment: Segment, queue: number, before: Position): void {
    for (const other of this.all)
      if (other !== segment && mayHit(other, queue, before)) segment.speaksOf.add(other.number);
  }

  /** Whether any file holds placements of the queue, live or dead. */
  hold(queue: number): boolean {
    for (const segment of this.all) if (segment.holds(queue)) return true;
    return false;
  }

  /** Counts what a recovered segment holds, as dead until `revive` says otherwise. Add segments in ascending order. */
  addRecovered(segment: Segment, contents: SegmentContents): void {
    const { placements, acks, marks, drops } = contents;
    this.add(segment);
    segment.marks = marks.count;
    for (let row = 0; row < placements.count; row++) {
      segment.noteDead(placements.queues[row]!);
      const source = placements.sources[row]!;
      if (source !== 0 && this.byNumber.has(source)) segment.sources.add(source);
    }
    for (let row = 0; row < acks.count; row++) this.speaksOf(segment, acks.targets[row]!);
    for (let row = 0; row < drops.count; row++) this.speaksOfQueue(segment, drops.queues[row]!, drops.befores[row]!);
  }

  revive({ queue, count, positions }: RecoveredQueue): void {
    let from = 1;
    let to = 0;
    let segment: Segment | undefined;
    for (let row = 0; row < count; row++) {
      const position = positions[row]!;
      if (position < from || position >= to) {
        const number = segmentOf(position);
        segment = this.byNumber.get(number);
        from = positionOf(number, 0);
        to = positionOf(number + 1, 0);
      }
      segment?.revive(queue);
    }
  }
}

/** Whether a drop of the queue that reaches to `before` has placements in this segment to keep dead. */
export function mayHit(segment: Segment, queue: number, before: Position): boolean {
  return segment.number <= segmentOf(before) && segment.holds(queue);
}
