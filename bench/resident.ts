import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of a process that are in memory now (Linux: VmRSS). */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1_024;
}

/** What the files of a folder take of the disk, as `du` counts. */
export function diskBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const { blocks } = statSync(join(folder, entry), { throwIfNoEntry: false }) ?? { blocks: 0 };
    bytes += blocks * 512;
  }
  return bytes;
}
