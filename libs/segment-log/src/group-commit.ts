import type { AppendBuffer, WriteBatch } from './append-buffer.js';
import { type FileLayer, isDiskFull } from './file-layer.js';
import type { Segment } from './segment.js';

/** What nobody waits for (acks, marks) is in its file after this long at most, so that only lost power can lose it. */
export const LAZY_WRITE_MS = 10;
/** And on disk after this long. */
export const LAZY_SYNC_MS = 100;
/** More than this gathered is written at once even if nobody asked for a sync. */
const GATHERED_BYTES_MAX = 1024 * 1024;
/** A batch that found the disk full is written again this often. */
const FULL_RETRY_MS = 200;

/** Opens a segment's file for writing, made and synced before it is handed out. */
export type FileOf = (segment: Segment, done: (error: Error | null, file: number) => void) => void;

type Phase =
  | { at: 'idle' }
  | { at: 'scheduled' }
  | { at: 'writing' }
  | { at: 'syncing' }
  | { at: 'full' }
  | { at: 'failed'; error: Error };

/** What is asked of the one who looks after the disk's space. */
export interface Space {
  /** The disk is full. Resolves with whether some room was made. */
  spend(): Promise<boolean>;
  /** A write went through. */
  noteWritten(): void;
}

/**
 * Group commit: while one write and fdatasync run, the next batch gathers.
 *
 *   idle ──requestSync──▶ scheduled ──end of this tick──▶ writing ──▶ syncing ──▶ idle, or at once writing again
 *                                                     │      └── nobody waits ──▶ idle; the clock syncs later
 *                                                     ▼
 *                                                    full ──room made, or a while later──▶ writing, the same bytes at the same place
 *   any other error ──▶ failed, for good: after a failed fdatasync the kernel may have dropped the pages and would report success.
 *
 * A write that found no room (ENOSPC, EDQUOT) may be repeated, a sync never: nothing of that batch was called durable, its bytes are
 * still in memory, and whatever part of it reached the file is overwritten with the same. See docs/adr/0005.
 */
export class GroupCommit {
  /** Log offset up to which everything is on disk. */
  durable = 0;
  syncs = 0;
  bytesWritten = 0;
  private phase: Phase = { at: 'idle' };
  /** Somebody waits until this log offset is durable. */
  private wantedUpTo = 0;
  /** Log offset up to which everything is in its file. */
  private written = 0;
  /** The segment with bytes that are written and not synced, and since when. */
  private dirty: Segment | undefined;
  private dirtySince = 0;
  private lastSyncAt = 0;
  /** The file's end does not say yet that all before it was synced. */
  private endUnmarked = false;
  private timer: NodeJS.Timeout | undefined;
  /** The batch that found the disk full. */
  private unwritten: WriteBatch | undefined;
  /** A full disk is waited for. Not while the log is opened or closed: somebody waits for that. */
  private waitsForRoom = false;
  private retryTimer: NodeJS.Timeout | undefined;
  private readonly durableListeners = new Set<() => void>();
  private readonly failedListeners = new Set<(error: Error) => void>();

  /** `markEnd` appends a record that says how far the open segment is synced. */
  constructor(
    private readonly files: FileLayer,
    private readonly buffer: AppendBuffer,
    private readonly fileOf: FileOf,
    private readonly markEnd: () => void,
    private readonly space: Space,
  ) {}

  get failed(): Error | undefined {
    return this.phase.at === 'failed' ? this.phase.error : undefined;
  }

  /** Something was appended; nobody need be waiting for it. */
  noteAppended(unsyncedBytes: number): void {
    this.endUnmarked = true;
    if (unsyncedBytes >= GATHERED_BYTES_MAX) this.schedule();
    if (this.timer === undefined) this.armTimer();
  }

  requestSync(upTo: number): void {
    this.wantedUpTo = upTo;
    if (upTo > this.durable) this.schedule();
  }

  onDurable(listener: () => void): () => void {
    this.durableListeners.add(listener);
    return () => this.durableListeners.delete(listener);
  }

  onFailed(listener: (error: Error) => void): () => void {
    this.failedListeners.add(listener);
    return () => this.failedListeners.delete(listener);
  }

  /** From now on a full disk stops nothing: what is appended waits for room. */
  waitForRoom(): void {
    this.waitsForRoom = true;
  }

  /** The other way round: one more try for what waits, and a disk still full is a failure. */
  waitNoMore(): void {
    this.waitsForRoom = false;
    this.writeAgain();
  }

  /** Stops the clock; whoever closes has synced before. */
  stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.retryTimer);
    this.timer = undefined;
  }

  fail(error: Error): void {
    if (this.phase.at === 'failed') return;
    this.phase = { at: 'failed', error };
    this.stop();
    for (const listener of this.failedListeners) listener(error);
  }

  // setImmediate runs after all sockets of this tick were read, so one tick's publishes share one sync without a timer for anyone.
  private schedule(): void {
    if (this.phase.at !== 'idle') return;
    this.phase = { at: 'scheduled' };
    setImmediate(() => {
      if (this.phase.at !== 'scheduled') return;
      this.phase = { at: 'idle' };
      this.flush();
    });
  }

  private flush(): void {
    const batch = this.buffer.take();
    if (batch !== undefined) this.write(batch);
    else if (this.dirty !== undefined && this.syncIsDue()) this.sync(this.dirty);
  }

  private write(batch: WriteBatch): void {
    this.phase = { at: 'writing' };
    this.fileOf(batch.segment, (openError, file) => {
      if (openError !== null) {
        this.onWriteFailed(batch, openError);
        return;
      }
      this.files.write(file, batch.buffers, batch.offset, (error) => {
        if (this.phase.at === 'failed') return;
        if (error !== null) {
          this.onWriteFailed(batch, error);
          return;
        }
        this.onWritten(batch);
      });
    });
  }

  private onWriteFailed(batch: WriteBatch, error: Error): void {
    if (!isDiskFull(error)) {
      this.fail(error);
      return;
    }
    this.unwritten = batch;
    this.phase = { at: 'full' };
    this.space.spend().then((madeRoom) => {
      if (this.unwritten !== batch || this.phase.at === 'failed') return;
      if (!madeRoom && !this.waitsForRoom) {
        this.fail(error);
        return;
      }
      if (madeRoom) this.writeAgain();
      else this.retryTimer = setTimeout(() => this.writeAgain(), FULL_RETRY_MS);
    });
    // Earlier batches are in their file: whoever waits for those need not wait for room.
    if (this.dirty !== undefined) this.sync(this.dirty);
  }

  private writeAgain(): void {
    clearTimeout(this.retryTimer);
    if (this.unwritten === undefined) return;
    if (this.phase.at === 'full') this.write(this.unwritten);
    // An earlier batch is being synced.
    else if (this.phase.at === 'syncing') this.retryTimer = setTimeout(() => this.writeAgain(), LAZY_WRITE_MS);
  }

  private onWritten(batch: WriteBatch): void {
    const { segment } = batch;
    if (this.unwritten !== undefined) {
      this.unwritten = undefined;
      this.space.noteWritten();
    }
    segment.written = batch.offset + batch.bytes;
    this.written = Math.max(this.written, batch.logEnd);
    this.bytesWritten += batch.bytes;
    this.buffer.releaseTaken();
    if (this.dirty === undefined) this.dirtySince = performance.now();
    this.dirty = segment;
    if (batch.endsSegment || this.syncIsDue()) {
      this.sync(segment);
      return;
    }
    this.phase = { at: 'idle' };
  }

  private sync(segment: Segment): void {
    this.phase = { at: 'syncing' };
    const { written } = this;
    const fileWritten = segment.written;
    this.fileOf(segment, (openError, file) => {
      if (openError !== null) {
        this.fail(openError);
        return;
      }
      this.files.fdatasync(file, (error) => {
        if (this.phase.at === 'failed') return;
        if (error !== null) {
          this.fail(error);
          return;
        }
        this.onSynced(segment, fileWritten, written);
      });
    });
  }

  private onSynced(segment: Segment, fileWritten: number, written: number): void {
    segment.synced = fileWritten;
    this.dirty = undefined;
    this.syncs++;
    this.durable = written;
    this.lastSyncAt = performance.now();
    this.phase = { at: this.unwritten === undefined ? 'idle' : 'full' };
    // The disk first: the next sync runs while the confirms of this one are written.
    if (this.phase.at === 'idle' && this.wantedUpTo > this.durable) this.flush();
    for (const listener of this.durableListeners) listener();
  }

  private syncIsDue(): boolean {
    return this.wantedUpTo > this.durable || performance.now() - this.dirtySince >= LAZY_SYNC_MS;
  }

  private armTimer(): void {
    this.timer = setTimeout(() => this.onTimer(), LAZY_WRITE_MS);
    this.timer.unref();
  }

  private onTimer(): void {
    this.timer = undefined;
    if (this.phase.at === 'failed') return;
    if (this.phase.at === 'idle') {
      if (this.isQuiet()) {
        this.markEnd();
        this.endUnmarked = false;
      }
      this.flush();
    }
    if (this.phase.at !== 'idle' || this.dirty !== undefined || this.endUnmarked) this.armTimer();
  }

  private isQuiet(): boolean {
    return (
      this.endUnmarked &&
      this.dirty === undefined &&
      this.buffer.isEmpty &&
      performance.now() - this.lastSyncAt >= LAZY_SYNC_MS
    );
  }
}
