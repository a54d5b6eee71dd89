// The segment log beside the disk's own write + fdatasync, in the same run and folder: what group commit costs above the disk.
// Arguments: --messages N (1000000), --folder PATH (a new folder under the working directory).
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type LogOwner, nodeFiles, type Placement, SegmentLog } from '#segment-log';
import { syncLatencies } from './disk.js';
import { quantile } from './statistics.js';

const { values } = parseArgs({
  options: { messages: { type: 'string', default: '1000000' }, folder: { type: 'string', default: '.' } },
});
const MESSAGES = Number(values.messages);
const LATENCY_ROUNDS = 300;
const owner: LogOwner = { isLive: () => true, moved: () => undefined };
const placements: Placement[] = [{ queue: 1, expiresAt: 0, flags: 0 }];

const folder = mkdtempSync(join(resolve(values.folder), 'log-bench-'));
try {
  report('disk: 4 KiB write + fdatasync, p50 / p99 ms', latencyOf(syncLatencies(folder)));
  report('log: one 1 KiB message, requestSync to durable, p50 / p99 ms', latencyOf(await loneLatencies()));
  for (const { bytes, window } of [
    { bytes: 1024, window: 1000 },
    { bytes: 100, window: 5000 },
  ]) {
    const name = `${bytes} B, ${window} unsynced`;
    report(`disk: ${name} as one write + fdatasync, messages/s`, await diskRate(bytes, window));
    report(`log: ${name}, append to durable, messages/s`, await logRate(bytes, window));
  }
  report(`log: append of 1 KiB without waiting, ns each`, await appendCost());
  await restart();
} finally {
  rmSync(folder, { recursive: true });
}

function report(what: string, result: string): void {
  console.log(`${what.padEnd(72)} ${result}`);
}

function latencyOf(latencies: number[]): string {
  return `${quantile(latencies, 0.5).toFixed(3)} / ${quantile(latencies, 0.99).toFixed(3)}`;
}

function openLog(name: string): Promise<SegmentLog> {
  return SegmentLog.open({ directory: join(folder, name), owner });
}

async function loneLatencies(): Promise<number[]> {
  const log = await openLog('lone');
  const latencies: number[] = [];
  for (let sequence = 1; sequence <= LATENCY_ROUNDS; sequence++) {
    const startedAt = performance.now();
    log.appendMessage(sequence, placements, [Buffer.alloc(1024)]);
    await durable(log);
    latencies.push(performance.now() - startedAt);
  }
  await log.close();
  return latencies;
}

/** The same bytes, with the same number outstanding, written by nothing but the file layer: half a window gathers while half syncs. */
async function diskRate(bytes: number, window: number): Promise<string> {
  const file = await nodeFiles.open(join(folder, 'raw'), 'create');
  const perSync = Math.ceil(window / 2);
  const block = Buffer.alloc(bytes * perSync, 'x');
  const rounds = Math.ceil(MESSAGES / 4 / perSync);
  const startedAt = performance.now();
  for (let round = 0; round < rounds; round++) {
    await new Promise<void>((done, failed) =>
      nodeFiles.write(file, [block], round * block.length, (error) =>
        error === null
          ? nodeFiles.fdatasync(file, (problem) => (problem === null ? done() : failed(problem)))
          : failed(error),
      ),
    );
  }
  const rate = (rounds * perSync * 1000) / (performance.now() - startedAt);
  await nodeFiles.close(file);
  return Math.round(rate).toLocaleString('en');
}

async function logRate(bytes: number, window: number): Promise<string> {
  const log = await openLog(`rate-${bytes}`);
  const payload = Buffer.alloc(bytes, 'x');
  const total = MESSAGES / 4;
  const ends: number[] = [];
  let confirmed = 0;
  let sequence = 0;
  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    const fill = (): void => {
      while (sequence < total && sequence - confirmed < window) {
        log.appendMessage(++sequence, placements, [payload]);
        ends.push(log.appended);
      }
      log.requestSync();
    };
    log.onFailed(reject);
    log.onDurable(() => {
      while (confirmed < sequence && ends[confirmed]! <= log.durable) confirmed++;
      if (confirmed >= total) resolve();
      else fill();
    });
    fill();
  });
  const seconds = (performance.now() - startedAt) / 1000;
  const { syncs } = log.stats();
  await log.close();
  return `${Math.round(total / seconds).toLocaleString('en')} (${Math.round(total / syncs)} per sync)`;
}

async function appendCost(): Promise<string> {
  const log = await openLog('cost');
  const payload = Buffer.alloc(1024, 'x');
  const inBatch = 5000;
  let spent = 0;
  let sequence = 0;
  for (let batch = 0; batch < 40; batch++) {
    const startedAt = performance.now();
    for (let each = 0; each < inBatch; each++) log.appendMessage(++sequence, placements, [payload]);
    spent += performance.now() - startedAt;
    await durable(log);
  }
  await log.close();
  return ((spent * 1e6) / sequence).toFixed(0);
}

async function restart(): Promise<void> {
  const log = await openLog('restart');
  const payload = Buffer.alloc(1024, 'x');
  for (let sequence = 1; sequence <= MESSAGES; sequence++) {
    log.appendMessage(sequence, placements, [payload]);
    if (sequence % 5000 === 0) await durable(log);
  }
  await log.close();
  const startedAt = performance.now();
  const again = await openLog('restart');
  const seconds = (performance.now() - startedAt) / 1000;
  const [queue] = again.recoveredQueues();
  if (queue?.count !== MESSAGES) throw new Error(`recovered ${queue?.count} of ${MESSAGES} messages`);
  report(`log: restart with ${MESSAGES.toLocaleString('en')} messages of 1 KiB, seconds`, seconds.toFixed(2));
  const readAt = performance.now();
  for (let from = 0; from < queue.count; from += 1000) {
    await again.read(queue.positions.subarray(from, from + 1000), queue.sizes.subarray(from, from + 1000));
  }
  const rate = (queue.count * 1000) / (performance.now() - readAt);
  report('log: reading them back in order, messages/s', Math.round(rate).toLocaleString('en'));
  await again.close();
}

function durable(log: SegmentLog): Promise<void> {
  const end = log.appended;
  return new Promise((resolve, reject) => {
    const stop = log.onDurable(() => {
      if (log.durable < end) return;
      stop();
      resolve();
    });
    if (log.failed !== undefined) reject(log.failed);
    log.requestSync();
  });
}
