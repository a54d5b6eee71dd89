/** Where a record begins: segment number * 2^32 + byte offset in the segment's file. Grows with every append and fits a double. */
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
