import { QueueIndex } from './queue-index.js';

/** x-max-priority: one index of messages for each level, 0 the lowest. A queue without priorities has one. */
export class PriorityLevels {
  readonly all: QueueIndex[];

  constructor(private readonly maxPriority: number) {
    this.all = Array.from({ length: maxPriority + 1 }, () => new QueueIndex());
  }

  /** A priority above the highest counts as the highest. */
  of(priority: number): QueueIndex {
    return this.all[Math.min(priority, this.maxPriority)]!;
  }

  /** The level of the message that goes next. */
  get head(): QueueIndex | undefined {
    for (let priority = this.all.length - 1; priority >= 0; priority--) {
      const level = this.all[priority]!;
      if (level.readyCount > 0) return level;
    }
    return undefined;
  }

  get readyCount(): number {
    let count = 0;
    for (const level of this.all) count += level.readyCount;
    return count;
  }

  get readyBytes(): number {
    let bytes = 0;
    for (const level of this.all) bytes += level.readyBytes;
    return bytes;
  }

  /** Visits what is still here of `sequences`. */
  each(sequences: readonly number[], visit: (level: QueueIndex, ordinal: number, sequence: number) => void): void {
    for (const sequence of sequences) {
      for (const level of this.all) {
        const ordinal = level.find(sequence);
        if (ordinal === -1) continue;
        visit(level, ordinal, sequence);
        break;
      }
    }
  }

  clear(): void {
    this.all.fill(new QueueIndex());
  }
}
