import fs from 'node:fs';
import { join } from 'node:path';

export type Done = (error: Error | null) => void;

/**
 * Everything the log asks of a file system; tests put one in its place that fills up, fails or forgets what was not synced.
 * Files are known by number. The calls on the hot path take callbacks, since a promise per write costs more than the write.
 */
export interface FileLayer {
  list(directory: string): Promise<string[]>;
  makeDirectory(directory: string): Promise<void>;
  /** `create` makes an empty file, or empties the one there. */
  open(path: string, mode: 'create' | 'existing'): Promise<number>;
  size(file: number): Promise<number>;
  truncate(file: number, size: number): Promise<void>;
  /** Reads until `buffer` is full or the file ends; tells how many bytes. */
  read(
    file: number,
    buffer: Uint8Array,
    position: number,
    done: (error: Error | null, bytesRead: number) => void,
  ): void;
  /** Writes all bytes of all buffers one after the other from `position`, or fails. */
  write(file: number, buffers: readonly Uint8Array[], position: number, done: Done): void;
  fdatasync(file: number, done: Done): void;
  fsync(file: number): Promise<void>;
  close(file: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  fsyncDirectory(directory: string): Promise<void>;
  /** Bytes that may still be written to the file system of `directory`. */
  freeBytes(directory: string): Promise<number>;
}

/** No room, or no more than a quota allows: nothing is broken, and the same call may succeed later. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

export const nodeFiles: FileLayer = {
  list: (directory) => fs.promises.readdir(directory),
  async makeDirectory(directory) {
    await fs.promises.mkdir(directory, { recursive: true });
    // The new name must survive a power cut as well, or the log in it does not.
    await this.fsyncDirectory(join(directory, '..'));
  },
  open: (path, mode) =>
    inPromise((done) =>
      fs.open(
        path,
        mode === 'create' ? fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_TRUNC : 'r+',
        0o600,
        done,
      ),
    ),
  size: (file) => inPromise<fs.Stats>((done) => fs.fstat(file, done)).then((status) => status.size),
  truncate: (file, size) => inPromise((done) => fs.ftruncate(file, size, (error) => done(error, undefined))),
  read: readFully,
  write: writeFully,
  fdatasync: (file, done) => fs.fdatasync(file, done),
  fsync: (file) => inPromise((done) => fs.fsync(file, (error) => done(error, undefined))),
  close: (file) => inPromise((done) => fs.close(file, (error) => done(error ?? null, undefined))),
  rename: (from, to) => fs.promises.rename(from, to),
  unlink: (path) => fs.promises.unlink(path),
  async fsyncDirectory(directory) {
    const handle = await fs.promises.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async freeBytes(directory) {
    const { bavail, bsize } = await fs.promises.statfs(directory);
    return bavail * bsize;
  },
};

export function readAt(files: FileLayer, file: number, buffer: Uint8Array, position: number): Promise<number> {
  return inPromise((done) => files.read(file, buffer, position, done));
}

export function writeAt(
  files: FileLayer,
  file: number,
  buffers: readonly Uint8Array[],
  position: number,
): Promise<void> {
  return inPromise((done) => files.write(file, buffers, position, (error) => done(error, undefined)));
}

export function syncData(files: FileLayer, file: number): Promise<void> {
  return inPromise((done) => files.fdatasync(file, (error) => done(error, undefined)));
}

function inPromise<T>(start: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => start((error, value) => (error === null ? resolve(value) : reject(error))));
}

function readFully(
  file: number,
  buffer: Uint8Array,
  position: number,
  done: (error: Error | null, bytesRead: number) => void,
  already = 0,
): void {
  fs.read(file, buffer, already, buffer.length - already, position + already, (error, bytesRead) => {
    if (error !== null) {
      done(error, already);
      return;
    }
    const total = already + bytesRead;
    if (bytesRead === 0 || total === buffer.length) {
      done(null, total);
      return;
    }
    readFully(file, buffer, position, done, total);
  });
}

function writeFully(file: number, buffers: readonly Uint8Array[], position: number, done: Done): void {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;

  const onWritten = (error: Error | null, written: number): void => {
    if (error !== null) {
      done(error);
      return;
    }
    if (written === total) {
      done(null);
      return;
    }
    if (written === 0) {
      done(new Error(`the file system took 0 of ${total} bytes`));
      return;
    }
    writeFully(file, withoutFirst(buffers, written), position + written, done);
  };
  if (buffers.length === 1) fs.write(file, buffers[0]!, 0, total, position, onWritten);
  else fs.writev(file, buffers, position, onWritten);
}

function withoutFirst(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const left: Uint8Array[] = [];
  let skip = bytes;
  for (const buffer of buffers) {
    if (skip >= buffer.length) skip -= buffer.length;
    else {
      left.push(buffer.subarray(skip));
      skip = 0;
    }
  }
  return left;
}
