import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { SegmentContents } from './contents.js';
import { type FileLayer, readAt, syncData, writeAt } from './file-layer.js';
import { decodeFooter, encodeFooter } from './footer.js';
import {
  align8,
  decodeSegmentHeader,
  HEADER_BYTES,
  HEADER_COPY_AT,
  IN_SNAPSHOT,
  KIND,
  LIST_FIXED_BYTES,
  RECORD_HEADER_BYTES,
  RECORDS_AT,
  REMOVED,
  recordCheck,
  recordCrc,
  type SegmentHeader,
  seedOf,
  segmentFileName,
  segmentNumber,
  segmentOf,
  TRAILER_BYTES,
} from './layout.js';
import { RecordWindow } from './record-window.js';
import { RecoveredQueues } from './recovered-queues.js';
import {
  type FooterState,
  type HeaderState,
  type Place,
  type RecoveryLetter,
  regionRow,
  type SegmentAction,
  segmentRow,
} from './recovery-table.js';
import { type BadRegion, type Scan, scanSegment } from './scan.js';
import { Segment } from './segment.js';
import { Segments } from './segments.js';
import type { RecoveredQueue, RecoveryReport } from './types.js';

/** Findings kept in the report; more are counted only. */
const FINDINGS_MAX = 1000;

export interface Recovered {
  identity: Buffer;
  segments: Segments;
  queues: RecoveredQueue[];
  definitions: Map<string, Buffer>;
  lastSequence: number;
  nextSegment: number;
  /** Files that hold nothing any more; to be unlinked once the new segment's snapshot is synced. */
  emptyFiles: string[];
  report: RecoveryReport;
}

/** Reads a log's directory and brings it into a state in which every file is a sealed segment. */
export async function recover(files: FileLayer, directory: string): Promise<Recovered> {
  const startedAt = performance.now();
  const recovery = new Recovery(files, directory);
  const recovered = await recovery.run();
  recovered.report.durationMs = performance.now() - startedAt;
  return recovered;
}

interface Found {
  number: number;
  name: string;
  size: number;
  header: SegmentHeader | undefined;
  headerState: HeaderState;
  /** From the trailer, when that holds. */
  trailerIdentity: Buffer | undefined;
  footerAt: number | undefined;
}

interface Kept {
  number: number;
  /** With its footer; `footerAt` is 0 when it has none. */
  size: number;
  footerAt: number;
  contents: SegmentContents;
  /** Nothing but definitions in it: read those, then it can go. */
  isEmpty: boolean;
}

class Recovery {
  private readonly queues = new RecoveredQueues();
  private readonly segments = new Segments();
  private readonly emptyFiles: string[] = [];
  private readonly report: RecoveryReport = {
    segments: 0,
    footersRead: 0,
    segmentsScanned: 0,
    placements: 0,
    queues: 0,
    definitions: 0,
    bytesLost: 0,
    bytesCut: 0,
    findings: [],
    findingsTotal: 0,
    durationMs: 0,
  };
  private identity: Buffer | undefined;
  private lastSequence = 0;
  /** Per kept segment in ascending order. */
  private readonly definitionSources: DefinitionSource[] = [];

  constructor(
    private readonly files: FileLayer,
    private readonly directory: string,
  ) {}

  async run(): Promise<Recovered> {
    const found = await this.examineAll();
    const newest = await this.keepNewest(found);
    for (const file of found) await this.keepEarlier(file);
    for (const kept of newest.reverse()) this.keep(kept);

    const definitions = await this.replayDefinitions();
    const queues = this.queues.finish();
    for (const queue of queues) this.segments.revive(queue);
    for (const { queue, sequence, position } of this.queues.stale) {
      this.segments.find(segmentOf(position))?.noteStale(queue, sequence);
    }
    this.report.segments = this.segments.count;
    this.report.queues = queues.length;
    this.report.definitions = definitions.size;
    for (const queue of queues) this.report.placements += queue.count;
    return {
      identity: this.identity ?? randomBytes(8),
      segments: this.segments,
      queues,
      definitions,
      lastSequence: this.lastSequence,
      nextSegment: this.highestNumber + 1,
      emptyFiles: this.emptyFiles,
      report: this.report,
    };
  }

  private highestNumber = 0;

  private async examineAll(): Promise<Found[]> {
    const names = await this.files.list(this.directory);
    const found: Found[] = [];
    for (const name of names.sort()) {
      // A number once used is never used again, not even that of a file set aside.
      const used = segmentNumber(name.replace(/\.damaged$/, ''));
      if (used !== undefined) this.highestNumber = Math.max(this.highestNumber, used);
      const number = segmentNumber(name);
      if (number !== undefined) found.push(await this.withFile(name, (file) => this.examine(name, number, file)));
    }
    this.identity = commonest(found.map(({ header, trailerIdentity }) => header?.identity ?? trailerIdentity));
    for (const file of found) {
      const { header, number } = file;
      if (header === undefined) continue;
      if (header.segment !== number || !header.identity.equals(this.identity!)) file.headerState = 'foreign';
      else this.lastSequence = Math.max(this.lastSequence, header.lastSequence);
    }
    return found;
  }

  private async examine(name: string, number: number, file: number): Promise<Found> {
    const size = await this.files.size(file);
    const header =
      (await this.readHeader(file, 0)) ??
      (size > HEADER_COPY_AT ? await this.readHeader(file, HEADER_COPY_AT) : undefined);
    const trailer = await this.readTrailer(file, size, number);
    return {
      number,
      name,
      size,
      header,
      headerState: size === 0 ? 'empty' : header === undefined ? 'bad' : 'ok',
      trailerIdentity: trailer?.identity,
      footerAt: trailer?.footerAt,
    };
  }

  private async readHeader(file: number, offset: number): Promise<SegmentHeader | undefined> {
    const bytes = Buffer.alloc(HEADER_BYTES);
    await readAt(this.files, file, bytes, offset);
    return decodeSegmentHeader(bytes);
  }

  private async readTrailer(
    file: number,
    size: number,
    number: number,
  ): Promise<{ identity: Buffer; footerAt: number } | undefined> {
    const offset = size - TRAILER_BYTES;
    if (offset < RECORDS_AT || offset % 8 !== 0) return undefined;
    const bytes = Buffer.alloc(TRAILER_BYTES);
    await readAt(this.files, file, bytes, offset);
    const identity = bytes.subarray(RECORD_HEADER_BYTES + 8);
    const length = recordLength(bytes, offset, seedOf(identity, number), KIND.trailer);
    if (length !== TRAILER_BYTES || bytes.readUInt32LE(20) !== number) return undefined;
    return { identity, footerAt: bytes.readUInt32LE(16) };
  }

  /**
   * From the newest file down to the first that proves all before it complete; takes those files out of `found`.
   * Returns what is kept of them, newest first.
   */
  private async keepNewest(found: Found[]): Promise<Kept[]> {
    const kept: Kept[] = [];
    for (;;) {
      const file = found.pop();
      if (file === undefined) return kept;
      const row = this.decide(file, 'last', 'missing');
      if (row === 'scan-and-cut') {
        const { segment, isProof } = await this.scanAndCut(file);
        if (segment !== undefined) kept.push(segment);
        if (isProof) return kept;
      } else {
        await this.discard(file, row);
      }
    }
  }

  private async keepEarlier(file: Found): Promise<void> {
    const isOurs = file.headerState === 'ok' || file.headerState === 'bad';
    const footer = isOurs ? await this.withFile(file.name, (handle) => this.readFooter(file, handle)) : 'missing';
    const state: FooterState = typeof footer === 'string' ? footer : 'ok';
    const action = this.decide(file, 'earlier', state);
    if (action === 'read-footer' && typeof footer !== 'string') {
      this.report.footersRead++;
      this.keep({ number: file.number, size: file.size, footerAt: file.footerAt!, contents: footer, isEmpty: false });
    } else if (action === 'scan-and-mend') {
      this.keep(await this.scanAndMend(file));
    } else {
      await this.discard(file, action);
    }
  }

  private decide(file: Found, place: Place, footer: FooterState): SegmentAction {
    const identity = this.identity === undefined ? 'unknown' : 'known';
    const row = segmentRow({ place, header: file.headerState, footer, identity });
    if (row.isFinding) this.find(row.letter, file.name, 0, file.size, row.says);
    if (row.action === 'set-aside') this.report.bytesLost += file.size;
    return row.action;
  }

  private async discard(file: Found, action: SegmentAction): Promise<void> {
    const path = join(this.directory, file.name);
    if (action === 'set-aside') await this.files.rename(path, `${path}.damaged`);
    // Durable before a later segment is begun: one that came back with lost power would look like a segment that lost its content.
    else await this.files.unlink(path);
    await this.files.fsyncDirectory(this.directory);
  }

  private async readFooter(file: Found, handle: number): Promise<SegmentContents | FooterState> {
    const { footerAt, size } = file;
    if (footerAt === undefined || !file.trailerIdentity!.equals(this.identity!)) return 'missing';
    const length = size - TRAILER_BYTES - footerAt;
    if (footerAt < RECORDS_AT || footerAt % 8 !== 0 || length < RECORD_HEADER_BYTES) return 'bad';
    return (await loadFooter(this.files, handle, footerAt, length, seedOf(this.identity!, file.number))) ?? 'bad';
  }

  private async scanAndMend(file: Found): Promise<Kept> {
    return this.withFile(file.name, async (handle) => {
      const scan = await this.scan(file, handle);
      for (const region of scan.regions) this.judge(file, region, 'earlier', scan);
      const sealed = await this.seal(file, handle, scan.contents, align8(file.size));
      return { number: file.number, ...sealed, contents: scan.contents, isEmpty: false };
    });
  }

  private async scanAndCut(file: Found): Promise<{ segment: Kept | undefined; isProof: boolean }> {
    return this.withFile(file.name, async (handle) => {
      const scan = await this.scan(file, handle);
      const isProof = file.headerState === 'ok' || scan.records > 0;
      const cut = scan.regions.find((region) => this.judge(file, region, 'last', scan) === 'cut');
      if (cut !== undefined) {
        scan.contents.restore(cut.before);
        this.report.bytesCut += file.size - cut.from;
        await this.files.truncate(handle, cut.from);
        await this.files.fsync(handle);
      }
      const { placements, acks, marks, drops } = scan.contents;
      const isEmpty = placements.count + acks.count + marks.count + drops.count === 0;
      if (isEmpty) this.emptyFiles.push(file.name);
      const end = cut?.from ?? file.size;
      if (end < RECORDS_AT) return { segment: undefined, isProof };

      // Sealed by a start that got no further than this.
      const isSealed = scan.isSealed && cut === undefined && file.footerAt !== undefined;
      const sealed = isSealed
        ? { size: end, footerAt: file.footerAt! }
        : await this.seal(file, handle, scan.contents, align8(end));
      return { segment: { number: file.number, ...sealed, contents: scan.contents, isEmpty }, isProof };
    });
  }

  private async scan(file: Found, handle: number): Promise<Scan> {
    this.report.segmentsScanned++;
    const scan = await scanSegment(this.files, handle, file.size, seedOf(this.identity!, file.number));
    // Without a header nobody knows how many definitions the snapshot had: take it for incomplete.
    scan.contents.snapshotCount = file.header?.snapshotCount ?? REMOVED;
    if (file.headerState === 'bad') {
      const before = new SegmentContents().savepoint();
      const to = Math.min(RECORDS_AT, file.size);
      scan.regions.unshift({ from: 0, to, next: scan.records > 0 ? 'records' : 'end', isZero: false, before });
    }
    return scan;
  }

  private judge(file: Found, region: BadRegion, place: Place, scan: Scan): 'skip' | 'cut' {
    const row = regionRow({
      place,
      bytes: region.isZero ? 'zero' : 'other',
      next: region.next,
      synced: region.to <= scan.syncedUpTo ? 'yes' : 'no',
    });
    const bytes = (row.action === 'cut' ? file.size : region.to) - region.from;
    if (row.isFinding) this.find(row.letter, file.name, region.from, bytes, row.says);
    if (row.action === 'skip') this.report.bytesLost += bytes;
    return row.action;
  }

  /** Writes a footer and trailer at `at`, the file's end. The start goes on without when the disk is full: a scan does as well. */
  private async seal(
    file: Found,
    handle: number,
    contents: SegmentContents,
    at: number,
  ): Promise<{ size: number; footerAt: number }> {
    const footer = encodeFooter(contents, file.number, this.identity!, at, seedOf(this.identity!, file.number));
    try {
      await writeAt(this.files, handle, [footer], at);
      await syncData(this.files, handle);
      return { size: at + footer.length, footerAt: at };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      await this.files.truncate(handle, at);
      await this.files.fsync(handle);
      return { size: at, footerAt: 0 };
    }
  }

  private keep({ number, size, footerAt, contents, isEmpty }: Kept): void {
    if (!isEmpty) {
      const segment = new Segment(number, seedOf(this.identity!, number));
      segment.footerAt = footerAt;
      segment.size = segment.written = segment.synced = size;
      this.segments.addRecovered(segment, contents);
      this.queues.add(number, contents);
    }
    this.lastSequence = Math.max(this.lastSequence, contents.lastSequence);
    this.definitionSources.push({
      number,
      offsets: contents.definitions.offsets.slice(0, contents.definitions.count),
      snapshotCount: contents.snapshotCount,
    });
  }

  /** From the newest segment whose snapshot is whole, by either copy; older ones count only where a newer snapshot is damaged. */
  private async replayDefinitions(): Promise<Map<string, Buffer>> {
    const replay: DefinitionRecord[][] = [];
    for (const source of this.definitionSources.reverse()) {
      const name = segmentFileName(source.number);
      const entries = await this.withFile(name, (handle) => this.readDefinitions(name, handle, source));
      replay.push(entries);
      const inSnapshot = new Set(entries.filter(({ isInSnapshot }) => isInSnapshot).map(({ key }) => key));
      if (inSnapshot.size === source.snapshotCount) break;
    }
    const definitions = new Map<string, Buffer>();
    for (const { key, value } of replay.reverse().flat()) {
      if (value === undefined) definitions.delete(key);
      else definitions.set(key, value);
    }
    return definitions;
  }

  private async readDefinitions(name: string, handle: number, source: DefinitionSource): Promise<DefinitionRecord[]> {
    const size = await this.files.size(handle);
    const window = new RecordWindow(this.files, handle, size, seedOf(this.identity!, source.number));
    const entries: DefinitionRecord[] = [];
    for (const offset of source.offsets) {
      if (!window.has(offset, RECORD_HEADER_BYTES)) await window.load(offset, RECORD_HEADER_BYTES);
      const head = window.has(offset, RECORD_HEADER_BYTES) ? window.headAt(offset) : undefined;
      if (head !== undefined && !window.has(offset, head.length)) await window.load(offset, head.length);
      if (head?.kind === KIND.definition && window.bodyHolds(offset, head.length)) {
        const at = offset - window.start;
        const record = window.bytes.subarray(at, at + head.length);
        entries.push({ ...decodeDefinition(record), isInSnapshot: (head.flags & IN_SNAPSHOT) !== 0 });
      } else {
        this.find('J', name, offset, head?.length ?? RECORD_HEADER_BYTES, 'damaged record of a definition');
      }
    }
    return entries;
  }

  private find(letter: RecoveryLetter, file: string, offset: number, bytes: number, says: string): void {
    this.report.findingsTotal++;
    if (this.report.findings.length < FINDINGS_MAX) this.report.findings.push({ letter, file, offset, bytes, says });
  }

  private async withFile<T>(name: string, use: (file: number) => Promise<T>): Promise<T> {
    const file = await this.files.open(join(this.directory, name), 'existing');
    try {
      return await use(file);
    } finally {
      await this.files.close(file);
    }
  }
}

/** Reads a footer record and checks it; undefined when it does not hold. `length` is what lies between it and the trailer. */
export async function loadFooter(
  files: FileLayer,
  file: number,
  offset: number,
  length: number,
  seed: number,
): Promise<SegmentContents | undefined> {
  const bytes = Buffer.from(new ArrayBuffer(align8(length)));
  await readAt(files, file, bytes, offset);
  const recorded = recordLength(bytes, offset, seed, KIND.footer);
  return recorded !== undefined && align8(recorded) === length ? decodeFooter(bytes) : undefined;
}

/** Length of the record of this kind that `bytes` starts with, if it holds. */
function recordLength(bytes: Buffer, offset: number, seed: number, kind: number): number | undefined {
  const length = bytes.readUInt32LE(0);
  const word = bytes.readUInt32LE(8);
  const isHead = bytes.readUInt32LE(12) === recordCheck(length, word, offset, seed) && ((word >>> 8) & 0xff) === kind;
  if (!isHead || length < RECORD_HEADER_BYTES || length > bytes.length) return undefined;
  return bytes.readUInt32LE(4) === recordCrc(bytes.subarray(8, length), seed, offset) ? length : undefined;
}

interface DefinitionSource {
  number: number;
  /** Of its definition records. */
  offsets: Uint32Array;
  /** Definitions in its opening snapshot, each counted once. */
  snapshotCount: number;
}

interface DefinitionRecord {
  key: string;
  value: Buffer | undefined;
  isInSnapshot: boolean;
}

function decodeDefinition(record: Buffer): Pick<DefinitionRecord, 'key' | 'value'> {
  const valueAt = LIST_FIXED_BYTES + record.readUInt32LE(16);
  const isRemoval = record.readUInt32LE(20) === REMOVED;
  return {
    key: record.toString('utf8', LIST_FIXED_BYTES, valueAt),
    value: isRemoval ? undefined : Buffer.from(record.subarray(valueAt)),
  };
}

function commonest(identities: (Buffer | undefined)[]): Buffer | undefined {
  const counts = new Map<string, number>();
  for (const identity of identities) {
    if (identity !== undefined) counts.set(identity.toString('hex'), (counts.get(identity.toString('hex')) ?? 0) + 1);
  }
  const [first] = [...counts].sort(([, one], [, other]) => other - one);
  return first === undefined ? undefined : Buffer.from(first[0], 'hex');
}
