import { basename, dirname, join } from 'node:path';
import type { FileLayer } from '#segment-log';

/** What a disk writes at once; a torn write ends at a multiple of it. */
const SECTOR_BYTES = 512;

type Done = Parameters<FileLayer['fdatasync']>[1];
export type FileStep = 'open' | 'create' | 'write' | 'fdatasync' | 'read' | 'unlink' | 'fsyncDirectory';

interface MemoryFile {
  /** What a process sees. */
  now: Buffer;
  /** What is on the disk for certain. */
  synced: Buffer;
}

/**
 * A file system in memory for tests: it forgets what was not synced when the power goes, can be made to fail at any step, and can
 * hold every sync until it is let go.
 */
export class ForgetfulFiles implements FileLayer {
  /** Called before each step; what it returns is the step's failure. */
  failAt: (step: FileStep, path: string) => Error | undefined = () => undefined;
  /** While set, fdatasync waits in `heldSyncs`. */
  holdSyncs = false;
  readonly heldSyncs: (() => void)[] = [];
  /** So many of the next reads wait in `heldReads`. */
  readsToHold = 0;
  readonly heldReads: (() => void)[] = [];
  readonly calls: string[] = [];
  /** Bytes of all files together that the disk takes; what is beyond fails with ENOSPC after a part of it was written. */
  capacity = Number.POSITIVE_INFINITY;
  private files = new Map<string, MemoryFile>();
  /** Names on the disk for certain. */
  private syncedNames = new Map<string, MemoryFile>();
  private readonly handles = new Map<number, { path: string; file: MemoryFile }>();
  private nextHandle = 3;
  private isCut = false;

  /**
   * What a machine finds when it starts after the power went: of each unsynced sector, name and removal `random` keeps some.
   * This one answers nobody any more: `stopClockOf` the log that still waits.
   */
  afterPowerCut(random: () => number): ForgetfulFiles {
    this.isCut = true;
    const after = new ForgetfulFiles();
    for (const path of new Set([...this.files.keys(), ...this.syncedNames.keys()])) {
      const now = this.files.get(path);
      const synced = this.syncedNames.get(path);
      const file = now === synced ? now : random() < 0.5 ? now : synced;
      if (file === undefined) continue;
      const bytes = mixSectors(file, random);
      after.files.set(path, { now: bytes, synced: Buffer.from(bytes) });
    }
    after.syncedNames = new Map(after.files);
    return after;
  }

  /** What is found after the process was killed: all that it wrote. */
  afterKill(): ForgetfulFiles {
    return this.afterPowerCut(() => 0);
  }

  /** The file's bytes, for tests that damage them. */
  bytesOf(path: string): Buffer {
    return this.fileAt(path).now;
  }

  replace(path: string, bytes: Buffer): void {
    const file = this.fileAt(path);
    file.now = bytes;
    file.synced = Buffer.from(bytes);
  }

  paths(): string[] {
    return [...this.files.keys()].sort();
  }

  /** A copy that can be damaged apart from this one. */
  copy(): ForgetfulFiles {
    const copy = new ForgetfulFiles();
    for (const [path, file] of this.files) {
      copy.files.set(path, { now: Buffer.from(file.now), synced: Buffer.from(file.now) });
    }
    copy.syncedNames = new Map(copy.files);
    return copy;
  }

  async list(directory: string): Promise<string[]> {
    return [...this.files.keys()].filter((path) => dirname(path) === directory).map((path) => basename(path));
  }

  async makeDirectory(): Promise<void> {}

  async open(path: string, mode: 'create' | 'existing'): Promise<number> {
    await this.step(mode === 'create' ? 'create' : 'open', path);
    let file = this.files.get(path);
    if (file === undefined) {
      if (mode === 'existing') throw codeError('ENOENT', `no file ${path}`);
      file = { now: Buffer.alloc(0), synced: Buffer.alloc(0) };
      this.files.set(path, file);
    } else if (mode === 'create') {
      file.now = Buffer.alloc(0);
    }
    this.handles.set(this.nextHandle, { path, file });
    return this.nextHandle++;
  }

  async size(handle: number): Promise<number> {
    return this.handle(handle).file.now.length;
  }

  async truncate(handle: number, size: number): Promise<void> {
    const { file } = this.handle(handle);
    file.now = size <= file.now.length ? Buffer.from(file.now.subarray(0, size)) : grown(file.now, size);
  }

  read(handle: number, buffer: Uint8Array, position: number, done: (error: Error | null, bytes: number) => void): void {
    if (this.readsToHold > 0) {
      this.readsToHold--;
      this.heldReads.push(() => this.read(handle, buffer, position, done));
      return;
    }
    const { path, file } = this.handle(handle);
    this.later('read', path, (error) => {
      if (error !== undefined) return done(error, 0);
      const part = file.now.subarray(position, position + buffer.length);
      buffer.set(part);
      done(null, part.length);
    });
  }

  write(handle: number, buffers: readonly Uint8Array[], position: number, done: Done): void {
    const { path, file } = this.handle(handle);
    this.later('write', path, (error) => {
      const bytes = Buffer.concat(buffers);
      const room = Math.max(0, file.now.length - position) + Math.max(0, this.capacity - this.usedBytes);
      const failure = error ?? (bytes.length > room ? codeError('ENOSPC', 'the disk is full') : undefined);
      // A write that fails may have got some way.
      const taken = failure === undefined ? bytes : bytes.subarray(0, Math.min(room, bytes.length >> 1));
      if (file.now.length < position + taken.length) file.now = grown(file.now, position + taken.length);
      else file.now = Buffer.from(file.now);
      taken.copy(file.now, position);
      this.calls.push(`write ${basename(path)} ${position}+${taken.length}`);
      done(failure ?? null);
    });
  }

  get usedBytes(): number {
    let used = 0;
    for (const { now } of this.files.values()) used += now.length;
    return used;
  }

  async freeBytes(): Promise<number> {
    return Math.max(0, this.capacity - this.usedBytes);
  }

  fdatasync(handle: number, done: Done): void {
    const { path, file } = this.handle(handle);
    const at = file.now;
    const finish = (): void =>
      this.later('fdatasync', path, (error) => {
        if (error === undefined) {
          file.synced = at;
          this.calls.push(`fdatasync ${basename(path)}`);
        }
        done(error ?? null);
      });
    if (this.holdSyncs) this.heldSyncs.push(finish);
    else finish();
  }

  async fsync(handle: number): Promise<void> {
    const { path, file } = this.handle(handle);
    await this.step('fdatasync', path);
    file.synced = file.now;
  }

  async close(handle: number): Promise<void> {
    this.handles.delete(handle);
  }

  async rename(from: string, to: string): Promise<void> {
    this.files.set(to, this.fileAt(from));
    this.files.delete(from);
  }

  async unlink(path: string): Promise<void> {
    await this.step('unlink', path);
    this.fileAt(path);
    this.files.delete(path);
    this.calls.push(`unlink ${basename(path)}`);
  }

  async fsyncDirectory(directory: string): Promise<void> {
    await this.step('fsyncDirectory', directory);
    const isHere = (path: string): boolean => dirname(path) === directory;
    for (const path of this.syncedNames.keys()) if (isHere(path)) this.syncedNames.delete(path);
    for (const [path, file] of this.files) if (isHere(path)) this.syncedNames.set(path, file);
    this.calls.push('fsync directory');
  }

  private step(step: FileStep, path: string): Promise<void> {
    return new Promise((resolve, reject) =>
      this.later(step, path, (error) => (error === undefined ? resolve() : reject(error))),
    );
  }

  private later(step: FileStep, path: string, done: (error: Error | undefined) => void): void {
    setImmediate(() => {
      if (!this.isCut) done(this.failAt(step, path));
    });
  }

  private handle(handle: number): { path: string; file: MemoryFile } {
    const open = this.handles.get(handle);
    if (open === undefined) throw codeError('EBADF', `file ${handle} is not open`);
    return open;
  }

  private fileAt(path: string): MemoryFile {
    const file = this.files.get(path);
    if (file === undefined) throw codeError('ENOENT', `no file ${path}`);
    return file;
  }
}

/** A log whose machine has died runs no more timers: they would ask for an answer for ever, and keep it in memory. */
export function stopClockOf(log: object): void {
  const { commit, reserve } = log as Record<'commit' | 'reserve', { stop(): unknown }>;
  commit.stop();
  void reserve.stop();
}

export function codeError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

/** Small, fast and repeatable: the seed is all a failing test needs to print. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mix = Math.imul(state ^ (state >>> 15), state | 1);
    mix ^= mix + Math.imul(mix ^ (mix >>> 7), mix | 61);
    return ((mix ^ (mix >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const logFile = (number: number): string => join('/log', `${String(number).padStart(10, '0')}.log`);

function mixSectors({ now, synced }: MemoryFile, random: () => number): Buffer {
  if (now === synced) return Buffer.from(now);
  // The length is the file's own piece of news: kept, or as it was, or in between.
  const kept = random();
  const length =
    kept < 0.5
      ? now.length
      : kept < 0.75
        ? synced.length
        : Math.floor(synced.length + (now.length - synced.length) * random());
  const mixed = grown(
    Buffer.from(synced.subarray(0, Math.min(synced.length, Math.max(length, 0)))),
    Math.max(length, 0),
  );
  const keepsPrefix = random() < 0.3;
  const share = random();
  for (let at = 0; at < mixed.length; at += SECTOR_BYTES) {
    // What was cut off and not synced may be there again.
    const isChanged =
      at < now.length && !now.subarray(at, at + SECTOR_BYTES).equals(synced.subarray(at, at + SECTOR_BYTES));
    const isKept = keepsPrefix ? at < synced.length + share * (now.length - synced.length) : random() < share;
    if (isChanged && (kept === 0 || isKept)) now.copy(mixed, at, at, Math.min(at + SECTOR_BYTES, mixed.length));
  }
  return mixed;
}

function grown(bytes: Buffer, size: number): Buffer {
  const larger = Buffer.alloc(size);
  bytes.copy(larger, 0, 0, Math.min(bytes.length, size));
  return larger;
}
