import type { RecoveryLetter } from './recovery-table.js';

/** Where a record begins: segment number * 2^29 + byte offset in the segment's file / 8. Grows with every append and fits a double. */
export type Position = number;

/** One queue a message lies in. `queue` is the owner's number for it; the log gives it no meaning. */
export interface Placement {
  queue: number;
  /** Milliseconds since the epoch; 0 means never. */
  expiresAt: number;
  /** Free for the owner (8 bits), kept in the footer and handed back by recovery. */
  flags: number;
}

/** The live placements of one queue found by recovery, in the order of their sequence numbers; parallel arrays. */
export interface RecoveredQueue {
  queue: number;
  count: number;
  sequences: Float64Array;
  positions: Float64Array;
  /** Payload bytes. */
  sizes: Uint32Array;
  expiresAt: Float64Array;
  flags: Uint8Array;
}

/** What the log must ask, and tell, the one who keeps the index while it rewrites a mostly dead segment. */
export interface LogOwner {
  isLive(queue: number, sequence: number): boolean;
  moved(queue: number, sequence: number, position: Position): void;
}

/** One thing recovery (or a later read) found wrong. */
export interface Finding {
  /** The line of the table in recovery-table.ts that decided. */
  letter: RecoveryLetter;
  /** File name in the log's directory. */
  file: string;
  offset: number;
  bytes: number;
  /** What it means and what was lost, in words. */
  says: string;
}

export interface RecoveryReport {
  segments: number;
  footersRead: number;
  segmentsScanned: number;
  /** Live placements handed to the owner. */
  placements: number;
  queues: number;
  definitions: number;
  /** Bytes of records lost that had been, or may have been, synced. */
  bytesLost: number;
  /** Bytes cut from the end that were never known to be synced. */
  bytesCut: number;
  /** The first of them (bounded); `findingsTotal` counts all. */
  findings: Finding[];
  findingsTotal: number;
  durationMs: number;
}

export interface LogStats {
  segments: number;
  /** Bytes of all segment files, and the share of them that live messages take (estimated by their number). */
  totalBytes: number;
  liveBytes: number;
  livePlacements: number;
  syncs: number;
  bytesWritten: number;
  segmentsRemoved: number;
  segmentsRewritten: number;
  /** Records found damaged when they were read. */
  damagedReads: number;
}
