import type { Placement, Position } from '#segment-log';

/** What queues need of the log; `SegmentLog` is one. All but `readEach` are synchronous and gather into the next batch. */
export interface MessageLog {
  readonly failed: Error | undefined;
  /** What is appended waits for room: nothing should be, that nobody asked for. Ends by itself. */
  readonly isLowOnDisk: boolean;
  appendMessage(sequence: number, placements: readonly Placement[], chunks: readonly Buffer[]): Position;
  appendAcks(queue: number, sequences: readonly number[], positions: readonly Position[]): void;
  /** Remembers that these may have been delivered before. */
  appendMarks(queue: number, sequences: readonly number[]): void;
  /** Everything placed in this queue is dead. */
  dropQueue(queue: number): void;
  /** What `make` makes of each payload, in the order asked for; `undefined` where the record is damaged or `make` says so. */
  readEach<Value>(
    positions: readonly Position[],
    sizes: readonly number[],
    make: (bytes: Buffer, start: number, end: number) => Value | undefined,
  ): Promise<(Value | undefined)[]>;
}

/** Small values kept beside the messages: exchanges, queues, bindings. */
export interface DefinitionLog {
  readonly definitions: ReadonlyMap<string, Buffer>;
  define(key: string, value: Buffer | undefined): void;
}
