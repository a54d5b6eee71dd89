import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const ROUNDS = 200;
const BYTES = 4_096;

/** Latencies in ms of a 4 KiB append and fdatasync in `folder`: what the disk itself needs for one confirm. */
export function syncLatencies(folder: string): number[] {
  const path = join(folder, 'disk-latency');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(BYTES, 'x');
  const latencies: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    latencies.push(performance.now() - startedAt);
  }
  closeSync(file);
  rmSync(path);
  return latencies;
}
