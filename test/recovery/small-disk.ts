import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { newFolder, removeFolder } from '#testing';

const run = promisify(execFile);
/** Written at once; what is left below it is taken by the byte's own page. */
const PIECES_BYTES = [1024 * 1024, 4096, 1] as const;

/** Whether file systems may be mounted here; if not, the line that a skipped test leaves is written. */
export function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'tocsin-mount-'));
  try {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tocsin', folder]).status === 0) {
      return spawnSync('umount', [folder]).status === 0;
    }
  } finally {
    rmdirSync(folder);
  }
  const sentence = 'needs the right to mount a tmpfs (root, or CAP_SYS_ADMIN in a container)';
  if (process.env['TOCSIN_REQUIRE_ALL'] === '1') throw new Error(sentence);
  process.stderr.write(`skipped: ${sentence}\n`);
  return false;
}

/** A file system of its own that can be filled by a neighbour's file. */
export class SmallDisk {
  private constructor(readonly folder: string) {}

  static async make(megabytes: number): Promise<SmallDisk> {
    const folder = await newFolder();
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tocsin', folder]);
    return new SmallDisk(folder);
  }

  /** The neighbour takes all there is. */
  async fill(): Promise<void> {
    const file = await open(this.ballast, 'a');
    try {
      for (const bytes of PIECES_BYTES) await appendUntilFull(file, Buffer.alloc(bytes, 'x'));
    } finally {
      await file.close();
    }
  }

  /** The neighbour gives all of it back. */
  makeRoom(): Promise<void> {
    return rm(this.ballast);
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder);
    return bavail * bsize;
  }

  /** Bytes of a file below the folder; 0 when there is none. */
  async sizeOf(...path: string[]): Promise<number> {
    return (await stat(join(this.folder, ...path)).catch(() => undefined))?.size ?? 0;
  }

  /** No process may hold a file of it any more. */
  async close(): Promise<void> {
    await run('umount', [this.folder]);
    await removeFolder(this.folder);
  }

  private get ballast(): string {
    return join(this.folder, 'ballast');
  }
}

async function appendUntilFull(file: Awaited<ReturnType<typeof open>>, piece: Buffer): Promise<void> {
  try {
    for (;;) await file.write(piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
