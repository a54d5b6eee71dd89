import { endianness } from 'node:os';
import { join } from 'node:path';
import { Appender } from './appender.js';
import { BodyReader, type MakeOfPayload } from './body-reader.js';
import { DiskReserve } from './disk-reserve.js';
import { type FileLayer, nodeFiles } from './file-layer.js';
import { GroupCommit } from './group-commit.js';
import { segmentOf } from './layout.js';
import { Reclaimer } from './reclaim.js';
import { type Recovered, recover } from './recovery.js';
import { SegmentFiles } from './segment-files.js';
import type { Segments } from './segments.js';
import type { Finding, LogOwner, LogStats, Placement, Position, RecoveredQueue, RecoveryReport } from './types.js';

const SEGMENT_BYTES = 64 * 1024 * 1024;
const SEGMENT_BYTES_MAX = 1024 * 1024 * 1024;

export interface SegmentLogOptions {
  /** Made when missing. One process at a time may have it open; the caller sees to that. */
  directory: string;
  /** Bytes of records after which a segment is sealed; 64 MiB unless told. */
  segmentBytes?: number;
  owner: LogOwner;
  files?: FileLayer;
  /** Disk space held back for when the disk is full, in a file of its own; 0 (default) holds none. See `DiskReserve`. */
  reserveBytes?: number;
  /**
   * When segments may begin to move and go. `after-recovery` (default): once `recoveredQueues` was called, so the owner must fill its
   * index in the same tick. `when-told`: once `startReclaiming` is called; positions from recovery hold until then.
   */
  reclaim?: 'after-recovery' | 'when-told';
}

/**
 * One append-only log for all queues. Everything appended is ordered; what is durable is always a beginning of that order.
 *
 * All `append*` calls are synchronous, copy what they are given, and throw once the log has failed. Whoever appends without bound
 * must watch `unsyncedBytes`. The one who opens it closes it.
 */
export class SegmentLog {
  readonly recovery: RecoveryReport;
  private recovered: RecoveredQueue[] | undefined;
  private readonly segments: Segments;
  private readonly appender: Appender;
  private readonly commit: GroupCommit;
  private readonly reserve: DiskReserve;
  private readonly segmentFiles: SegmentFiles;
  private readonly reader: BodyReader;
  private readonly reclaimer: Reclaimer;
  private readonly troubleListeners = new Set<(finding: Finding) => void>();
  private readonly lowListeners = new Set<(isLow: boolean) => void>();
  private readonly reclaimsWhenTold: boolean;
  private isClosed = false;

  /** Recovers what the directory holds and begins a new segment; resolves when that is durable. */
  static async open(options: SegmentLogOptions): Promise<SegmentLog> {
    if (endianness() !== 'LE')
      throw new Error('the log reads and writes little-endian words in place; this machine is big-endian');
    const files = options.files ?? nodeFiles;
    await files.makeDirectory(options.directory);
    const recovered = await recover(files, options.directory);
    const log = new SegmentLog(options, files, recovered);
    try {
      await log.synced();
      // Their definitions are in the new segment's snapshot, which is durable now.
      for (const name of recovered.emptyFiles) await files.unlink(join(options.directory, name));
      log.commit.waitForRoom();
      log.reserve.start();
    } catch (error) {
      await log.close();
      throw error;
    }
    return log;
  }

  private constructor(options: SegmentLogOptions, files: FileLayer, recovered: Recovered) {
    const segmentBytes = Math.min(options.segmentBytes ?? SEGMENT_BYTES, SEGMENT_BYTES_MAX);
    this.recovery = recovered.report;
    this.recovered = recovered.queues;
    this.segments = recovered.segments;
    this.segmentFiles = new SegmentFiles(files, options.directory);
    this.segmentFiles.prepare(recovered.nextSegment);
    for (const segment of this.segments.all) segment.seal(segmentBytes);
    this.appender = new Appender(recovered, segmentBytes, (opened) => {
      this.segmentFiles.prepare(opened.number + 1);
      this.reclaimer.wake();
    });
    this.reserve = new DiskReserve(files, options.directory, options.reserveBytes ?? 0, (isLow) => {
      for (const listener of this.lowListeners) listener(isLow);
    });
    this.commit = new GroupCommit(
      files,
      this.appender.buffer,
      (segment, done) => this.segmentFiles.use(segment, done),
      () => this.appender.markEnd(),
      this.reserve,
    );
    this.reader = new BodyReader({
      files,
      segmentFiles: this.segmentFiles,
      segments: this.segments,
      buffer: this.appender.buffer,
      onUnread: () => this.reclaimer.wake(),
      onDamaged: (finding) => this.noteTrouble(finding),
    });
    this.reclaimer = new Reclaimer({
      files,
      segmentFiles: this.segmentFiles,
      segments: this.segments,
      appender: this.appender,
      reader: this.reader,
      owner: options.owner,
      segmentBytes,
      durable: () => this.commit.durable,
      isLowOnDisk: () => this.reserve.isLow,
      fail: (error) => this.commit.fail(error),
      synced: () => this.synced(),
      onTrouble: (finding) => this.noteTrouble(finding),
    });
    this.commit.onDurable(() => this.reclaimer.noteDurable());
    this.appender.openSegment(recovered.nextSegment);
    this.reclaimsWhenTold = options.reclaim === 'when-told';
    if (recovered.queues.length === 0 && !this.reclaimsWhenTold) this.reclaimer.start();
  }

  /** What `define` was last told, by key; kept up to date. */
  get definitions(): ReadonlyMap<string, Buffer> {
    return this.appender.definitions;
  }

  /** The highest sequence ever appended, over all restarts. */
  get lastSequence(): number {
    return this.appender.lastSequence;
  }

  /** Log offset after everything appended so far; bytes, growing. */
  get appended(): number {
    return this.appender.end;
  }

  /** Log offset up to which everything is on disk. */
  get durable(): number {
    return this.commit.durable;
  }

  get unsyncedBytes(): number {
    return this.appender.end - this.commit.durable;
  }

  /**
   * The disk was found full, or has no room for the reserve. What is appended waits until it can be written: whoever appends should
   * append no more than acknowledgements. Ends by itself.
   */
  get isLowOnDisk(): boolean {
    return this.reserve.isLow;
  }

  /** Set for good by the first sync that failed, or write that failed for another reason than a full disk: nothing after `durable` may be called durable any more. */
  get failed(): Error | undefined {
    return this.commit.failed;
  }

  /**
   * The live messages of each queue, in the order of their sequences. Once: the log keeps no copy. The owner must settle
   * (`appendAcks`, `dropQueue`) those it does not want. See `reclaim` for how long the positions hold.
   */
  recoveredQueues(): RecoveredQueue[] {
    if (this.recovered === undefined)
      throw new Error('recoveredQueues() can be called once: the log does not keep them');
    const queues = this.recovered;
    this.recovered = undefined;
    if (!this.reclaimsWhenTold) this.reclaimer.start();
    return queues;
  }

  /** The owner's index is complete: `isLive` and `moved` may be called from now on. */
  startReclaiming(): void {
    this.reclaimer.start();
  }

  /** `sequence` must be higher than any before it. Chunks together are the payload. */
  appendMessage(sequence: number, placements: readonly Placement[], chunks: readonly Uint8Array[]): Position {
    this.assertOpen();
    if (sequence <= this.appender.lastSequence) {
      throw new RangeError(`sequence ${sequence} is not higher than ${this.appender.lastSequence}, the last one`);
    }
    const position = this.appender.message(sequence, placements, chunks, 0);
    this.noteAppended();
    return position;
  }

  /** The queue is done with these messages; `positions[i]` is where `sequences[i]` lies now. */
  appendAcks(queue: number, sequences: readonly number[], positions: readonly Position[]): void {
    this.assertOpen();
    this.appender.acks(queue, sequences, positions);
    for (const position of positions) this.settle(queue, position);
    this.noteAppended();
  }

  /** These messages may have been seen by a consumer: recovery sets bit 0 of their flags. */
  appendMarks(queue: number, sequences: readonly number[]): void {
    this.assertOpen();
    this.appender.marks(queue, sequences);
    this.noteAppended();
  }

  /** Sets or removes (undefined) what is kept under a key. */
  define(key: string, value: Buffer | undefined): void {
    this.assertOpen();
    this.appender.define(key, value);
    this.noteAppended();
  }

  /** All messages placed in the queue so far are dead. Its number may be used again. */
  dropQueue(queue: number): void {
    this.assertOpen();
    if (!this.segments.hold(queue)) return;
    this.appender.dropped(queue);
    for (const segment of this.segments.all) segment.drop(queue);
    this.reclaimer.wake();
    this.noteAppended();
  }

  /** Somebody waits for what was appended: syncs at the end of this tick, or as soon as the running sync is done. */
  requestSync(): void {
    this.commit.requestSync(this.appender.end);
  }

  /** Called after each sync. Returns the function that removes the listener. */
  onDurable(listener: () => void): () => void {
    return this.commit.onDurable(listener);
  }

  onFailed(listener: (error: Error) => void): () => void {
    return this.commit.onFailed(listener);
  }

  /** Called when `isLowOnDisk` changes. Returns the function that removes the listener. */
  onLowOnDisk(listener: (isLow: boolean) => void): () => void {
    this.lowListeners.add(listener);
    return () => this.lowListeners.delete(listener);
  }

  /** Told of what goes wrong after the start without stopping the log: messages that cannot be read, files that cannot be removed. */
  onTrouble(listener: (finding: Finding) => void): () => void {
    this.troubleListeners.add(listener);
    return () => this.troubleListeners.delete(listener);
  }

  /** Payloads of messages, also of those not yet written; `undefined` for one that is damaged. `sizes` are payload bytes. */
  read(positions: ArrayLike<Position>, sizes: ArrayLike<number>): Promise<(Buffer | undefined)[]> {
    return this.reader.read(positions, sizes);
  }

  /** The same without a slice for each: `make` is handed the place where a payload lies, and may keep slices of it. */
  readEach<Value>(
    positions: ArrayLike<Position>,
    sizes: ArrayLike<number>,
    make: MakeOfPayload<Value>,
  ): Promise<(Value | undefined)[]> {
    return this.reader.readEach(positions, sizes, make);
  }

  stats(): LogStats {
    let totalBytes = 0;
    let liveBytes = 0;
    let livePlacements = 0;
    for (const { size, live, placements } of this.segments.all) {
      totalBytes += size;
      livePlacements += live;
      if (placements > 0) liveBytes += size * (live / placements);
    }
    return {
      segments: this.segments.count,
      totalBytes,
      liveBytes: Math.round(liveBytes),
      livePlacements,
      syncs: this.commit.syncs,
      bytesWritten: this.commit.bytesWritten,
      segmentsRemoved: this.reclaimer.removed,
      segmentsRewritten: this.reclaimer.rewritten,
      damagedReads: this.reader.damagedReads,
    };
  }

  /** Writes and syncs what is left and closes the files; does not throw for a log that has failed or finds no room for the rest. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.commit.waitNoMore();
    await this.reserve.stop();
    await this.reclaimer.stop();
    await this.synced().catch(() => undefined); // `failed` tells
    this.appender.markLastEnd();
    await this.synced().catch(() => undefined);
    this.commit.stop();
    await this.segmentFiles.close();
  }

  /** Resolves when all appended so far is durable, rejects when the log has failed. */
  private synced(): Promise<void> {
    const { end } = this.appender;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (this.durable < end && this.failed === undefined) return;
        stopDurable();
        stopFailed();
        if (this.failed === undefined) resolve();
        else reject(this.failed);
      };
      const stopDurable = this.onDurable(settle);
      const stopFailed = this.onFailed(settle);
      this.requestSync();
      settle();
    });
  }

  private settle(queue: number, position: Position): void {
    const segment = this.segments.find(segmentOf(position));
    if (segment === undefined) return; // damaged and given up by the owner
    segment.settle(queue);
    if (segment.hasJustEmptied) this.reclaimer.wake();
  }

  private noteTrouble(finding: Finding): void {
    for (const listener of this.troubleListeners) listener(finding);
  }

  private noteAppended(): void {
    this.commit.noteAppended(this.unsyncedBytes);
  }

  private assertOpen(): void {
    if (this.failed !== undefined)
      throw new Error(`the log has failed: ${this.failed.message}`, { cause: this.failed });
    if (this.isClosed) throw new Error('the log is closed');
  }
}
