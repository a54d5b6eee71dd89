import { join } from 'node:path';
import { type FileLayer, isDiskFull } from './file-layer.js';
import { segmentFileName } from './layout.js';
import type { Segment } from './segment.js';

/** Files kept open at once; beyond it the one used longest ago and by nobody now is closed. */
const OPEN_FILES_MAX = 128;

interface OpenFile {
  /** Set once it is open. */
  file: number | undefined;
  opening: Promise<number>;
  users: number;
  /** The disk had no room for it: it must be made again. */
  isUnmade: boolean;
}

/** The open file of each segment. Makes new ones ahead of time, so that a roll-over does not wait for the directory's sync. */
export class SegmentFiles {
  private readonly openFiles = new Map<number, OpenFile>();

  constructor(
    private readonly files: FileLayer,
    private readonly directory: string,
  ) {}

  /** Creates the file of a segment to come and makes its name durable. It counts as used until `release`. */
  prepare(number: number): void {
    const prepared = this.remember(number, this.create(number));
    prepared.users++;
    // Whoever writes to it hears of the failure.
    prepared.opening.catch((error: unknown) => {
      prepared.isUnmade = isDiskFull(error);
    });
  }

  /** For the hot path: calls back at once when the file is open. With an error of `isDiskFull` it may be asked again later. */
  use(segment: Segment, done: (error: Error | null, file: number) => void): void {
    if (this.openFiles.get(segment.number)?.isUnmade) this.prepare(segment.number);
    const open = this.openFiles.get(segment.number);
    if (open?.file !== undefined) {
      done(null, open.file);
      return;
    }
    const opening = open?.opening ?? this.remember(segment.number, this.open(segment.number)).opening;
    opening.then(
      (file) => done(null, file),
      (error: unknown) => done(asError(error), -1),
    );
  }

  async acquire(segment: Segment): Promise<number> {
    const open = this.openFiles.get(segment.number) ?? this.remember(segment.number, this.open(segment.number));
    // Last in the map is used last.
    this.openFiles.delete(segment.number);
    this.openFiles.set(segment.number, open);
    open.users++;
    try {
      return await open.opening;
    } catch (error) {
      this.openFiles.delete(segment.number);
      throw error;
    }
  }

  release(number: number): void {
    const open = this.openFiles.get(number);
    if (open !== undefined) open.users--;
  }

  /** Closes the file and removes it from the directory; durable after the directory's next sync. */
  async unlink(number: number): Promise<void> {
    await this.closeFile(number);
    await this.files.unlink(join(this.directory, segmentFileName(number)));
  }

  syncDirectory(): Promise<void> {
    return this.files.fsyncDirectory(this.directory);
  }

  async close(): Promise<void> {
    for (const number of [...this.openFiles.keys()]) await this.closeFile(number);
  }

  private async create(number: number): Promise<number> {
    const file = await this.files.open(join(this.directory, segmentFileName(number)), 'create');
    try {
      await this.files.fsync(file);
      await this.files.fsyncDirectory(this.directory);
    } catch (error) {
      // Without the code: a failed sync is final, whatever the reason.
      throw new Error(`the new segment ${number} was not synced: ${asError(error).message}`, { cause: error });
    }
    return file;
  }

  private open(number: number): Promise<number> {
    return this.files.open(join(this.directory, segmentFileName(number)), 'existing');
  }

  private remember(number: number, opening: Promise<number>): OpenFile {
    const open: OpenFile = { file: undefined, opening, users: 0, isUnmade: false };
    this.openFiles.set(number, open);
    opening.then(
      (file) => {
        open.file = file;
        this.closeUnused();
      },
      () => undefined, // told to whoever asked for it
    );
    return open;
  }

  private closeUnused(): void {
    for (const [number, { users, file }] of this.openFiles) {
      if (this.openFiles.size <= OPEN_FILES_MAX) return;
      if (users === 0 && file !== undefined) this.closeFile(number).catch(() => undefined); // read-only use: nothing to lose
    }
  }

  private async closeFile(number: number): Promise<void> {
    const open = this.openFiles.get(number);
    if (open === undefined) return;
    this.openFiles.delete(number);
    const file = await open.opening.catch(() => undefined);
    if (file !== undefined) await this.files.close(file);
  }
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
