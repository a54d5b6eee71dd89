import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { newFolder, removeFolder } from '#testing';

const run = promisify(execFile);
/** Written at once; what is left below it is taken by the byte's own page. */
const PIECES_BYTES = [1024 * 1024, 4096, 1] as const;

/** A tmpfs, and how to be rid of it. */
interface Mounted {
  /** Where it is reached from here. */
  folder: string;
  unmount(): Promise<unknown>;
}

/** Whether file systems may be mounted here, by right or in a namespace of one's own; if not, the line that a skipped test leaves is written. */
export function canMount(): boolean {
  if (MEANS !== undefined) return true;
  const sentence =
    'needs to mount a tmpfs: root, CAP_SYS_ADMIN in a container, or user namespaces (`unshare -rm` of util-linux)';
  if (process.env['TOCSIN_REQUIRE_ALL'] === '1') throw new Error(sentence);
  process.stderr.write(`skipped: ${sentence}\n`);
  return false;
}

const MEANS = findMeans();

function findMeans(): 'right' | 'namespace' | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tocsin-mount-'));
  const mount = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tocsin', folder];
  try {
    if (succeeds(mount)) return succeeds(['umount', folder]) ? 'right' : undefined;
    return succeeds(['unshare', '-rm', ...mount]) ? 'namespace' : undefined;
  } finally {
    rmdirSync(folder);
  }
}

function succeeds([command = '', ...parameters]: string[]): boolean {
  return spawnSync(command, parameters).status === 0;
}

function mountTmpfs(folder: string, megabytes: number): Promise<Mounted> {
  return MEANS === 'right' ? mountByRight(folder, megabytes) : mountInNamespace(folder, megabytes);
}

async function mountByRight(folder: string, megabytes: number): Promise<Mounted> {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tocsin', folder]);
  return { folder, unmount: () => run('umount', [folder]) };
}

/** A process holds the namespace; the kernel shows what it sees under its entry in /proc. The file system goes with it. */
async function mountInNamespace(folder: string, megabytes: number): Promise<Mounted> {
  const script = 'mount -t tmpfs -o "size=$1" tocsin "$2" && echo mounted && exec cat';
  const holder = spawn('unshare', ['-rm', 'sh', '-c', script, 'sh', `${megabytes}m`, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'exit');
  const isMounted = await Promise.race([once(holder.stdout, 'data').then(() => true), ended.then(() => false)]);
  if (!isMounted) throw new Error(`no tmpfs could be mounted at ${folder} in a namespace`);
  return {
    folder: `/proc/${holder.pid}/root${folder}`,
    unmount() {
      holder.stdin.end();
      return ended;
    },
  };
}

/** A file system of its own that can be filled by a neighbour's file. */
export class SmallDisk {
  private constructor(
    private readonly mountPoint: string,
    private readonly mounted: Mounted,
  ) {}

  static async make(megabytes: number): Promise<SmallDisk> {
    const mountPoint = await newFolder();
    return new SmallDisk(mountPoint, await mountTmpfs(mountPoint, megabytes));
  }

  /** To be written in. */
  get folder(): string {
    return this.mounted.folder;
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
    await this.mounted.unmount();
    await removeFolder(this.mountPoint);
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
