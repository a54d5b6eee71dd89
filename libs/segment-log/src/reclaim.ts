/**
 * Gives disk space back. Two invariants, which hold at every moment, after every crash:
 *
 *   Nothing is lost.        The file that holds the current copy of a live placement is never unlinked.
 *   Nothing comes back.     While any file holds a dead placement, some file holds the ack or drop that killed it.
 *
 * A sealed segment S is unlinked when
 *   1. nothing in it is live, and the acks and copies that made it so are durable (an ack may rest on a publish before it in the
 *      log; if that were lost while S is gone, the message would be lost);
 *   2. no file is left that its acks and drops speak of: an ack speaks of the segment that its message was in;
 *   3. no file is left from which a message in S was copied: acks of the copy name S only, so S answers for the original too;
 *   4. its marks are not needed any more;
 *   5. the open segment's snapshot of all definitions is durable;
 *   6. nobody is reading it.
 * A file counts as left until its directory is synced after the unlink.
 *
 * A sealed segment of which little is needed is rewritten: live messages are appended again as `moved` records with their
 * sequence; acks and drops that speak of a file still there, and marks of live messages, are appended again as they are (acks are
 * a set, a drop carries the position it reaches to, so neither can hit anything newer). Then 1 to 6 hold or come to hold. This also
 * frees a segment of dead messages whose acks are pinned by one slow message in an older segment.
 *
 * A rewrite goes in slices, one per sync, so that publishers never wait for more than a slice.
 */
import type { Appender } from './appender.js';
import type { BodyReader } from './body-reader.js';
import type { SegmentContents } from './contents.js';
import { type FileLayer, isDiskFull } from './file-layer.js';
import {
  align8,
  MESSAGE_FIXED_BYTES,
  PLACEMENT_BYTES,
  positionOf,
  segmentFileName,
  segmentOf,
  TRAILER_BYTES,
} from './layout.js';
import { loadFooter } from './recovery.js';
import { REWRITE_RATIO, type Segment } from './segment.js';
import { asError, type SegmentFiles } from './segment-files.js';
import { mayHit, type Segments } from './segments.js';
import type { Finding, LogOwner, Placement } from './types.js';

/** Payload bytes copied between two syncs. */
const SLICE_BYTES = 256 * 1024;
/** What a rewrite may take of a disk that is full; it gives a whole segment back. */
const LOW_REWRITE_BYTES_MAX = 2 * 1024 * 1024;
/** What one carried ack and one carried mark take. */
const ACK_BYTES = 12;
const MARK_BYTES = 8;
/** Rows looked at before others get their turn. */
const SLICE_ROWS = 4096;

export interface ReclaimParts {
  files: FileLayer;
  segmentFiles: SegmentFiles;
  segments: Segments;
  appender: Appender;
  reader: BodyReader;
  owner: LogOwner;
  segmentBytes: number;
  durable(): number;
  isLowOnDisk(): boolean;
  fail(error: Error): void;
  /** Resolves when all appended so far is durable, rejects when the log has failed. */
  synced(): Promise<void>;
  onTrouble(finding: Finding): void;
}

/** Unlinks and rewrites segments, one thing at a time, in the background. */
export class Reclaimer {
  removed = 0;
  rewritten = 0;
  private state: 'not-started' | 'idle' | 'running' | 'stopped' = 'not-started';
  private lookAgain = false;
  private waitsForSync = false;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly parts: ReclaimParts) {}

  /** From now on the owner answers for every live message. */
  start(): void {
    if (this.state !== 'not-started') return;
    this.state = 'idle';
    this.wake();
  }

  /** Something changed that may let a segment go. */
  wake(): void {
    this.lookAgain = true;
    if (this.state !== 'idle') return;
    this.state = 'running';
    this.running = this.run().finally(() => {
      if (this.state === 'running') this.state = 'idle';
    });
  }

  noteDurable(): void {
    if (this.waitsForSync) this.wake();
  }

  /** Ends after the slice under way; the log must still be able to sync or have failed. */
  async stop(): Promise<void> {
    this.state = 'stopped';
    await this.running;
  }

  private get isStopped(): boolean {
    return this.state === 'stopped';
  }

  private async run(): Promise<void> {
    try {
      while (this.lookAgain && !this.isStopped) {
        this.lookAgain = false;
        this.waitsForSync = false;
        // Not on the caller's stack: it may be in the middle of its own bookkeeping.
        await nextTurn();
        if (await this.removeDead()) this.lookAgain = true;
        const candidate = this.findCandidate();
        if (candidate === undefined || this.isStopped) continue;
        await this.rewrite(candidate);
        this.lookAgain = true;
      }
    } catch (error) {
      // Only a failed log gets here, and that is told elsewhere.
      this.state = 'stopped';
      this.parts.onTrouble(trouble(this.parts.appender.open, asError(error).message));
    }
  }

  private async removeDead(): Promise<boolean> {
    const { segments, segmentFiles } = this.parts;
    const dead = [...segments.all].filter((segment) => this.mayGo(segment));
    const unlinked: Segment[] = [];
    for (const segment of dead) {
      try {
        await segmentFiles.unlink(segment.number);
        unlinked.push(segment);
      } catch (error) {
        // Some file systems need room to remove a name: tried again after the next sync.
        if (isDiskFull(error)) {
          this.waitsForSync = true;
          continue;
        }
        segment.state = 'stuck';
        this.parts.onTrouble(trouble(segment, `cannot be removed: ${asError(error).message}`));
      }
    }
    if (unlinked.length === 0) return false;
    try {
      await segmentFiles.syncDirectory();
    } catch (error) {
      // As with any failed sync nobody knows what is on disk: the files may come back, and the acks that they need must not go.
      this.parts.fail(asError(error));
      throw error;
    }
    for (const segment of unlinked) segments.remove(segment);
    this.removed += unlinked.length;
    return true;
  }

  private mayGo(segment: Segment): boolean {
    const isDead =
      segment.state === 'emptied' || (segment.isDead && segment.speaksOf.size === 0 && segment.marks === 0);
    if (!isDead || segment.sources.size > 0 || segment.readers > 0) return false;
    const { appender, durable } = this.parts;
    // Taken now it is not earlier than the ack that emptied the segment.
    if (segment.goneAfter === 0) segment.goneAfter = appender.end;
    const { open } = appender;
    const isSafe = durable() >= segment.goneAfter && open.synced >= open.snapshotEnd;
    if (!isSafe) this.waitsForSync = true;
    return isSafe;
  }

  private findCandidate(): Segment | undefined {
    for (const segment of this.parts.segments.all) {
      const isCandidate = segment.isWorthALook && segment.sources.size === 0 && !this.willBeFreed(segment);
      // Its footer says what must be carried; that is on disk only when all of the segment is.
      if (isCandidate && segment.synced === segment.size) return segment;
      if (isCandidate) this.waitsForSync = true;
    }
    return undefined;
  }

  /** Dead, and bound only by segments that are dead too: it goes when they have gone, without copying anything. */
  private willBeFreed(segment: Segment): boolean {
    const isBoundByLive = [...segment.speaksOf].some((number) => (this.parts.segments.find(number)?.live ?? 0) > 0);
    return segment.live === 0 && segment.marks === 0 && !isBoundByLive;
  }

  private async rewrite(segment: Segment): Promise<void> {
    segment.state = 'rewriting';
    try {
      const contents = await this.loadContents(segment);
      const needed = await this.neededBytes(segment, contents);
      if (!this.isStopped && needed <= this.rewriteBytesMax) {
        await this.copyMessages(segment, contents);
        await this.copyRest(segment, contents);
      }
    } catch (error) {
      this.parts.onTrouble(trouble(segment, `cannot be rewritten: ${asError(error).message}`));
    }
    if (this.isStopped) return;
    await this.parts.synced();
    if (segment.isCopied && segment.live === 0) {
      segment.state = 'emptied';
      segment.goneAfter = this.parts.appender.end;
      this.rewritten++;
      return;
    }
    // What is left is too much, or damaged: look again when it has become less.
    segment.state = 'sealed';
    segment.isCopied = false;
    segment.lookAgainLater();
  }

  private get rewriteBytesMax(): number {
    const most = this.parts.segmentBytes * REWRITE_RATIO;
    return this.parts.isLowOnDisk() ? Math.min(most, LOW_REWRITE_BYTES_MAX) : most;
  }

  private async loadContents(segment: Segment): Promise<SegmentContents> {
    const { files, segmentFiles } = this.parts;
    const file = await segmentFiles.acquire(segment);
    try {
      const { size, seed, footerAt } = segment;
      if (footerAt === 0) throw new Error('it has no footer; the next start writes one');
      const contents = await loadFooter(files, file, footerAt, size - TRAILER_BYTES - footerAt, seed);
      // Never by scanning: an ack that is hit, and not carried, would be lost for good although the footer had it.
      if (contents === undefined) throw new Error('its footer does not hold; the next start rebuilds it');
      return contents;
    } finally {
      segmentFiles.release(segment.number);
    }
  }

  /** Bytes that a rewrite would append. */
  private async neededBytes(segment: Segment, { placements, acks, marks }: SegmentContents): Promise<number> {
    let bytes = 0;
    for (let row = 0; row < placements.count && segment.live > 0; ) {
      const end = placements.endOfMessage(row);
      const live = this.livePlacements(segment, placements, row, end).length;
      if (live > 0) bytes += align8(MESSAGE_FIXED_BYTES + live * PLACEMENT_BYTES + placements.sizes[row]!);
      if (crossesSlice(row, end)) await nextTurn();
      row = end;
    }
    for (let row = 0; row < acks.count; row++) {
      if (this.isAckNeeded(segment, acks.targets[row]!)) bytes += ACK_BYTES;
      if (crossesSlice(row, row + 1)) await nextTurn();
    }
    for (let row = 0; row < marks.count; row++) {
      if (this.parts.owner.isLive(marks.queues[row]!, marks.sequences[row]!)) bytes += MARK_BYTES;
      if (crossesSlice(row, row + 1)) await nextTurn();
    }
    return bytes;
  }

  private async copyMessages(segment: Segment, { placements }: SegmentContents): Promise<void> {
    let row = 0;
    while (row < placements.count && segment.live > 0 && !this.isStopped) {
      const rows: number[] = [];
      const firstRow = row;
      for (let bytes = 0; row < placements.count && bytes < SLICE_BYTES && row - firstRow < SLICE_ROWS; ) {
        const end = placements.endOfMessage(row);
        if (this.livePlacements(segment, placements, row, end).length > 0) {
          rows.push(row);
          bytes += placements.sizes[row]!;
        }
        row = end;
      }
      if (rows.length > 0) await this.copySlice(segment, placements, rows);
      else await nextTurn();
    }
  }

  private async copySlice(segment: Segment, placements: SegmentContents['placements'], rows: number[]): Promise<void> {
    const { appender, reader, segments, owner } = this.parts;
    const positions = rows.map((row) => positionOf(segment.number, placements.offsets[row]!));
    const payloads = await reader.read(
      positions,
      rows.map((row) => placements.sizes[row]!),
    );
    for (const [index, row] of rows.entries()) {
      const payload = payloads[index];
      // A damaged one stays counted as live here, so the file stays until its owner settles it.
      if (payload === undefined) continue;
      const live = this.livePlacements(segment, placements, row, placements.endOfMessage(row));
      if (live.length === 0) continue; // settled while it was read
      const sequence = placements.sequences[row]!;
      const position = appender.message(sequence, live, [payload], segment.number);
      segments.find(segmentOf(position))!.sources.add(segment.number);
      for (const { queue } of live) {
        segment.settle(queue);
        owner.moved(queue, sequence, position);
      }
    }
    await this.parts.synced();
  }

  private async copyRest(segment: Segment, { acks, marks, drops }: SegmentContents): Promise<void> {
    if (this.isStopped) return;
    const { appender, segments, owner } = this.parts;
    const carriedAcks = new Runs((queue, sequences, positions) => appender.acks(queue, sequences, positions));
    for (let row = 0; row < acks.count; row++) {
      if (crossesSlice(row, row + 1)) await this.parts.synced();
      if (!this.isAckNeeded(segment, acks.targets[row]!)) continue;
      carriedAcks.add(acks.queues[row]!, acks.sequences[row]!, positionOf(acks.targets[row]!, 0));
    }
    carriedAcks.flush();

    const marked = new Set<string>();
    const carriedMarks = new Runs((queue, sequences) => appender.marks(queue, sequences));
    for (let row = 0; row < marks.count; row++) {
      if (crossesSlice(row, row + 1)) await this.parts.synced();
      const queue = marks.queues[row]!;
      const sequence = marks.sequences[row]!;
      const isNeeded = owner.isLive(queue, sequence) && !marked.has(`${queue}/${sequence}`);
      if (!isNeeded) continue;
      marked.add(`${queue}/${sequence}`);
      carriedMarks.add(queue, sequence, 0);
    }
    carriedMarks.flush();

    for (let row = 0; row < drops.count; row++) {
      const queue = drops.queues[row]!;
      const before = drops.befores[row]!;
      const isNeeded = [...segments.all].some((other) => other !== segment && mayHit(other, queue, before));
      if (isNeeded) appender.dropped(queue, before);
    }
    segment.isCopied = !this.isStopped;
  }

  // An ack whose target is gone has nothing left to kill: a message's copies go before the segment they were copied to.
  private isAckNeeded(segment: Segment, target: number): boolean {
    return target !== segment.number && this.parts.segments.find(target) !== undefined;
  }

  private isLiveHere(segment: Segment, queue: number, sequence: number): boolean {
    return !segment.isStale(queue, sequence) && this.parts.owner.isLive(queue, sequence);
  }

  private livePlacements(
    segment: Segment,
    placements: SegmentContents['placements'],
    from: number,
    to: number,
  ): Placement[] {
    const live: Placement[] = [];
    for (let row = from; row < to; row++) {
      const queue = placements.queues[row]!;
      if (!this.isLiveHere(segment, queue, placements.sequences[row]!)) continue;
      live.push({ queue, flags: placements.flags[row]!, expiresAt: placements.expiresAt[row]! });
    }
    return live;
  }
}

/** Gathers neighbours of one queue into one record. */
class Runs {
  private queue = -1;
  private sequences: number[] = [];
  private positions: number[] = [];

  constructor(private readonly onRun: (queue: number, sequences: number[], positions: number[]) => void) {}

  add(queue: number, sequence: number, position: number): void {
    if (queue !== this.queue || this.sequences.length === SLICE_ROWS) this.flush();
    this.queue = queue;
    this.sequences.push(sequence);
    this.positions.push(position);
  }

  flush(): void {
    if (this.sequences.length > 0) this.onRun(this.queue, this.sequences, this.positions);
    this.sequences = [];
    this.positions = [];
  }
}

const crossesSlice = (from: number, to: number): boolean =>
  Math.floor(from / SLICE_ROWS) !== Math.floor(to / SLICE_ROWS);

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function trouble(segment: Segment, says: string): Finding {
  return { letter: 'S', file: segmentFileName(segment.number), offset: 0, bytes: segment.size, says };
}
