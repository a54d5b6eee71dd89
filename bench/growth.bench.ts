// What becomes of the broker when there is more of everything: one figure per decade, beside its target. Ratios are taken in
// alternating rounds of the same run. Words on the command line choose cases; TOCSIN_BENCH_SCALE=0.1 makes every number a tenth.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { removeFolder, startService } from '#testing';
import { syncLatencies } from './disk.js';
import type { BoundExchange, Load, Loaded } from './growth-load.js';
import { diskBytes, residentBytes } from './resident.js';
import { median } from './statistics.js';

const SCALE = Number(process.env['TOCSIN_BENCH_SCALE'] ?? 1);
const BACKLOGS = [0, 100_000, 1_000_000, 5_000_000].map((count) => Math.round(count * SCALE));
const DECADES = [1, 1_000, 10_000];
const CONNECTIONS = [1, 100, 1_000];
const EXCHANGES: readonly BoundExchange[] = ['direct', 'topic', 'headers'];
/** Messages of one measured round. */
const COUNT = Math.round(100_000 * Math.max(SCALE, 0.5));
const ROUNDS = 3;
/** One message of so many waits behind the slow consumer. */
const SLOW_EVERY = 50;
const SLOW_COUNT = Math.round((1_000_000 * SCALE) / SLOW_EVERY) * SLOW_EVERY;

const FLAT_RATIO_MIN = 0.75;
const MESSAGE_BYTES_MAX = 64;
const RESIDENT_MIB_MAX = 600;
const RESTART_SECONDS_MAX = [0, 0, 3, 12];
/** What stays after everything is settled: the open segment, the one prepared, and what the last ones still speak of. */
const DRAINED_MIB_MAX = 256;
/** A segment is rewritten when a quarter of it lives; beside that the open and the next ones. */
const SLOW_DISK_RATIO_MAX = 4;
const SETTLE_MS_MAX = 20_000;

const MIB = 2 ** 20;

interface Figure {
  what: string;
  value: string;
  target: string;
  isMet: boolean | undefined;
}

const CASES: Record<string, () => Promise<void>> = {
  backlog,
  bindings,
  queues,
  connections,
  'slow-consumer': slowConsumer,
};
/** Filling is what takes the time, so these are figures of one course. */
const IN_BACKLOG = ['memory', 'restart', 'disk'];

const wanted = process.argv.slice(2);
for (const word of wanted) {
  if (Object.hasOwn(CASES, word) || IN_BACKLOG.includes(word)) continue;
  console.error(`no case '${word}'; there are: ${[...Object.keys(CASES), ...IN_BACKLOG].join(', ')}`);
  process.exit(1);
}
const figures: Figure[] = [];
let service = await startService({ app: 'broker' });
try {
  if (SCALE !== 1) console.log(`everything times ${SCALE}`);
  console.log(`disk: 4 KiB append + fdatasync p50 ${median(syncLatencies(service.folder)).toFixed(2)} ms`);
  await load({ do: 'through', queue: 'growth.warm', count: COUNT });
  for (const [name, run] of Object.entries(CASES)) if (isWanted(name)) await run();
} finally {
  await service.kill();
  await removeFolder(service.folder);
}
console.log(`\n${asTable()}`);

function isWanted(name: string): boolean {
  const parts = name === 'backlog' ? ['backlog', ...IN_BACKLOG] : [name];
  return wanted.length === 0 || parts.some((part) => wanted.includes(part));
}

/** Fills one queue decade by decade, with a look at everything at each, and drains it. */
async function backlog(): Promise<void> {
  const queue = 'growth.backlog';
  const emptyBytes = diskBytes(service.folder);
  let previous: { count: number; bytes: number } | undefined;
  for (const [index, count] of BACKLOGS.entries()) {
    if (index > 0) await fill(queue, count - BACKLOGS[index - 1]!);
    const name = `${thousands(count)} messages queued`;
    if (wants('backlog')) await compareThrough(`${name}: publish and consume beside an empty queue`, queue);
    if (wants('memory')) {
      const bytes = await settledResident();
      if (previous !== undefined && index > 1) {
        const each = (bytes - previous.bytes) / (count - previous.count);
        note(
          `${name}: resident memory, each message more`,
          `${each.toFixed(0)} B`,
          '≤ 64 B',
          each <= MESSAGE_BYTES_MAX,
        );
      }
      note(`${name}: resident memory`, mib(bytes), `≤ ${RESIDENT_MIB_MAX} MiB`, bytes <= RESIDENT_MIB_MAX * MIB);
      previous = { count, bytes };
    }
    const secondsMax = RESTART_SECONDS_MAX[index]!;
    if (wants('restart') && secondsMax > 0) await measureRestarts(name, secondsMax);
  }
  if (!wants('disk')) return;
  const count = BACKLOGS.at(-1)!;
  const fullBytes = diskBytes(service.folder);
  const { seconds } = await load({ do: 'drain', queue, count });
  note(`${thousands(count)} messages drained`, `${thousands(count / seconds)} msg/s`, '', undefined);
  const leftBytes = await settledDisk();
  const value = `${mib(fullBytes)} → ${mib(leftBytes)}`;
  note(
    'disk before and after the drain',
    value,
    `≤ ${DRAINED_MIB_MAX} MiB`,
    leftBytes - emptyBytes <= DRAINED_MIB_MAX * MIB,
  );
  note('resident memory after the drain', mib(await settledResident()), '', undefined);
}

function wants(part: string): boolean {
  return wanted.length === 0 || wanted.includes(part);
}

async function fill(queue: string, count: number): Promise<void> {
  const { seconds } = await load({ do: 'fill', queue, count });
  note(`${thousands(count)} messages published to a backlog`, `${thousands(count / seconds)} msg/s`, '', undefined);
}

async function compareThrough(what: string, queue: string): Promise<void> {
  await compare(
    what,
    () => load({ do: 'through', queue: 'growth.warm', count: COUNT }),
    () => load({ do: 'through', queue, count: COUNT }),
  );
}

/**
 * In alternating rounds, and the median of their ratios: what the machine does meanwhile hits both. A round before does not count: code that runs for the
 * first time is slow, and the large case has more of its own (a backlog is read back) than the small one.
 */
async function compare(what: string, small: () => Promise<Loaded>, large: () => Promise<Loaded>): Promise<Loaded[]> {
  const ratios: number[] = [];
  const rates: number[] = [];
  const loaded: Loaded[] = [];
  await small();
  await large();
  for (let round = 0; round < ROUNDS; round++) {
    const few = await small();
    const many = await large();
    ratios.push(few.seconds / many.seconds);
    rates.push(COUNT / many.seconds);
    loaded.push(many);
  }
  const ratio = median(ratios);
  const value = `${thousands(median(rates))} msg/s, ${ratio.toFixed(2)} of the small one`;
  note(what, value, `≥ ${FLAT_RATIO_MIN}`, ratio >= FLAT_RATIO_MIN);
  return loaded;
}

/** After SIGTERM and after SIGKILL, from the start of the process to its ready line; an empty one's time is in it. */
async function measureRestarts(name: string, secondsMax: number): Promise<void> {
  for (const [how, end] of [
    ['stop', () => service.stop()],
    ['kill -9', () => service.kill()],
  ] as const) {
    await end();
    const startedAt = performance.now();
    service = await startService({ app: 'broker', folder: service.folder });
    const seconds = (performance.now() - startedAt) / 1_000;
    const value = `${seconds.toFixed(2)} s, then ${mib(residentBytes(service.pid))} resident`;
    note(`${name}: start after ${how}`, value, `≤ ${secondsMax} s`, seconds <= secondsMax);
  }
}

async function bindings(): Promise<void> {
  for (const type of EXCHANGES) {
    for (const many of DECADES.slice(1)) {
      const loaded = await compare(
        `${thousands(many)} ${type} bindings beside one`,
        () => load({ do: 'bindings', type, bindings: 1, count: COUNT }),
        () => load({ do: 'bindings', type, bindings: many, count: COUNT }),
      );
      noteSetup(`${thousands(many)} ${type} bindings made`, many, loaded);
    }
  }
}

async function queues(): Promise<void> {
  for (const carrying of ['one', 'all'] as const) {
    for (const many of DECADES.slice(1)) {
      const loaded = await compare(
        `${thousands(many)} queues, messages through ${carrying}, beside one queue`,
        () => load({ do: 'queues', queues: 1, carrying, count: COUNT }),
        () => load({ do: 'queues', queues: many, carrying, count: COUNT }),
      );
      noteSetup(`${thousands(many)} queues declared`, many, loaded);
    }
  }
}

async function connections(): Promise<void> {
  for (const carrying of ['one', 'all'] as const) {
    for (const many of CONNECTIONS.slice(1)) {
      const { pid } = service;
      const loaded = await compare(
        `${thousands(many)} connections, messages through ${carrying === 'one' ? 'one pair' : 'all'}, beside one`,
        () => load({ do: 'connections', connections: 1, carrying, count: COUNT, pid }),
        () => load({ do: 'connections', connections: many, carrying, count: COUNT, pid }),
      );
      const each = loaded[0]!.grownBytes / many / 1_024;
      if (carrying === 'one')
        note(`${thousands(many)} connections: memory of each`, `${each.toFixed(0)} KiB`, '', undefined);
    }
  }
}

/** Its neighbours have long been consumed: what is left must be its own. */
async function slowConsumer(): Promise<void> {
  const waiting = SLOW_COUNT / SLOW_EVERY;
  const memoryBefore = await settledResident();
  const diskBefore = await settledDisk();
  await load({ do: 'slow-consumer', slow: 'growth.slow', fast: 'growth.fast', every: SLOW_EVERY, count: SLOW_COUNT });
  const memory = (await settledResident()) - memoryBefore;
  const disk = (await settledDisk()) - diskBefore;
  const passed = (SLOW_COUNT * 1_024) / MIB;
  const live = (waiting * 1_024) / MIB;
  const diskMax = live * SLOW_DISK_RATIO_MAX + DRAINED_MIB_MAX;
  const what = `${thousands(waiting)} messages wait behind a slow consumer while ${passed.toFixed(0)} MiB passed`;
  note(
    `${what}: disk`,
    `${mib(disk)} for ${live.toFixed(0)} MiB`,
    `≤ ${diskMax.toFixed(0)} MiB`,
    disk <= diskMax * MIB,
  );
  const memoryMax = Math.min(256, passed);
  note(`${what}: memory`, `${mib(memory)} more`, `≤ ${memoryMax.toFixed(0)} MiB`, memory <= memoryMax * MIB);
  await load({ do: 'drain', queue: 'growth.slow', count: waiting });
}

function noteSetup(what: string, count: number, loaded: readonly Loaded[]): void {
  const rate = count / median(loaded.map(({ setupSeconds }) => setupSeconds));
  note(what, `${thousands(rate)} a second`, '', undefined);
}

/** The lowest of some seconds: garbage is not what is held. */
async function settledResident(): Promise<number> {
  return settled(() => residentBytes(service.pid));
}

async function settledDisk(): Promise<number> {
  return settled(() => diskBytes(join(service.folder, existsSync(join(service.folder, 'data')) ? 'data' : '')));
}

/** Waits until it no longer falls. */
async function settled(measure: () => number): Promise<number> {
  let least = measure();
  let leastAt = performance.now();
  const startedAt = leastAt;
  while (performance.now() - leastAt < 3_000 && performance.now() - startedAt < SETTLE_MS_MAX) {
    await delay(250);
    const now = measure();
    if (now >= least * 0.99) continue;
    least = now;
    leastAt = performance.now();
  }
  return least;
}

async function load(what: Load): Promise<Loaded> {
  const script = join(import.meta.dirname, 'growth-load.js');
  const port = new URL(service.amqp).port;
  const { stdout } = await promisify(execFile)(process.execPath, [script, port, JSON.stringify(what)]);
  return JSON.parse(stdout);
}

function note(what: string, value: string, target: string, isMet: boolean | undefined): void {
  // A target holds for the full number; `≥` is a ratio, which holds for any.
  const counts = SCALE === 1 || target.startsWith('≥');
  const figure = { what, value, target: counts ? target : '', isMet: counts ? isMet : undefined };
  figures.push(figure);
  const verdict = figure.isMet === undefined ? '' : `, target ${target}: ${isMet ? 'met' : 'MISSED'}`;
  console.log(`${what}: ${value}${verdict}`);
}

function asTable(): string {
  const rows = figures.map(({ what, value, target, isMet }) => {
    const verdict = isMet === undefined ? '' : isMet ? 'met' : 'missed';
    return `| ${what} | ${value} | ${target} | ${verdict} |`;
  });
  return ['| more of everything | figure | target | |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function mib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}

function thousands(count: number): string {
  return Math.round(count).toLocaleString('en');
}
