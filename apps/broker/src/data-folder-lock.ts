import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const LOCK_FILE = 'broker.lock';
/** A predecessor that was just killed may need this long to let go. */
const WAIT_MS_MAX = 5_000;
const RETRY_MS = 100;

/** Another live process owns the data folder. */
export class DataFolderInUse extends Error {}

export interface DataFolderLock {
  release(): Promise<void>;
}

/**
 * Takes the data folder for this process. The lock file names its holder by process id and start time, so the lock of a
 * process that was killed, or whose id now belongs to another program, is recognised as stale and taken over.
 */
export async function lockDataFolder(directory: string): Promise<DataFolderLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, LOCK_FILE);
  const mine = JSON.stringify({ pid: process.pid, startedAt: await startTimeOf(process.pid) } satisfies Holder);
  const deadline = Date.now() + WAIT_MS_MAX;
  for (;;) {
    if (await createLockFile(path, mine)) return { release: () => rm(path, { force: true }) };

    const content = await readFile(path, 'utf8').catch(() => undefined);
    // Released between the two calls.
    if (content === undefined) continue;
    const holder = parseHolder(content);
    if (holder === undefined || !(await isAlive(holder))) {
      await removeStale(path, content);
      continue;
    }
    if (Date.now() > deadline) {
      throw new DataFolderInUse(
        `data folder ${directory} is in use by process ${holder.pid}; stop it, or set TOCSIN_DATA_DIR to another folder`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

interface Holder {
  pid: number;
  startedAt: string;
}

/** Linked into place whole, so nobody ever reads a lock that does not name its holder yet. */
async function createLockFile(path: string, content: string): Promise<boolean> {
  const draft = `${path}.${process.pid}.${randomUUID()}`;
  await writeFile(draft, content, { mode: 0o600 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Two processes may find the same stale lock at once: what was moved aside must be what was judged, else it goes back. */
async function removeStale(path: string, judged: string): Promise<void> {
  const aside = `${path}.stale.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    // The other one moved it first.
    return;
  }
  if ((await readFile(aside, 'utf8')) !== judged) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

function parseHolder(content: string): Holder | undefined {
  try {
    return JSON.parse(content);
  } catch {
    // Damaged: nobody to wait for.
    return undefined;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return (await startTimeOf(holder.pid)) === holder.startedAt;
}

/** Field 22 of /proc/<pid>/stat (clock ticks since boot); empty where there is no /proc, and then the process id alone decides. */
async function startTimeOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name in parentheses, may itself hold blanks.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
