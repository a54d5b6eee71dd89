// Our whole service (`npm start`: one service process and its broker process, SQLite) beside Debian's Alertmanager, with the same light client and the
// same webhook receiver, each in a process of its own, in alternating rounds; prints a Markdown table. We answer once the alerts are on disk;
// Alertmanager answers before anything is durable: its alerts live in memory only.
// Arguments: names of cases (all), --rounds N (3). TOCSIN_BENCH_SCALE scales the number of posts.
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { waitFor } from '#testing';
import { syncLatencies } from './disk.js';
import { CASES, type IngestCase, type IngestRound, lineOf } from './ingest-cases.js';
import type { IngestLoad, IngestMeasured } from './ingest-load.js';
import { type IngestServer, startOurs, startTheirs } from './ingest-servers.js';
import { quantile } from './statistics.js';
import type { ReceiverAnswer, ReceiverQuestion } from './webhook-receiver.js';

/** Runs before the rounds that count, at a part of their length. */
const WARM_UP_PART = 0.2;
const TOLD_MS_MAX = 120_000;
/** Of what a load process prints. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' } },
});
const ROUNDS = Number(values.rounds);
const unknown = positionals.filter((name) => CASES.every((one) => one.name !== name));
if (unknown.length > 0)
  throw new Error(`no case '${unknown[0]}'; there are: ${CASES.map(({ name }) => name).join(', ')}`);
const wanted = positionals.length === 0 ? CASES : CASES.filter(({ name }) => positionals.includes(name));

/** Each is a process group of its own, which Ctrl-C does not reach. */
const servers = new Set<IngestServer>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await Promise.all([...servers].map((server) => server.stop()));
    process.exit(1);
  });
}

const receiver = fork(join(import.meta.dirname, 'webhook-receiver.js'));
const [{ port: hookPort }] = await once(receiver, 'message');
const hook = `http://127.0.0.1:${hookPort}/hook`;
const disk: number[] = [];
let busiestClient = 0;
let runs = 0;

try {
  const lines: string[] = [];
  for (const benchmark of wanted) {
    console.error(`... ${benchmark.name}`);
    const { ours, theirs } = await runRounds(benchmark);
    lines.push(...benchmark.rows.map((row) => lineOf(row, ours, theirs)));
  }
  print(lines);
} finally {
  if (receiver.connected) receiver.disconnect();
}

async function runRounds(benchmark: IngestCase): Promise<{ ours: IngestRound[]; theirs: IngestRound[] | undefined }> {
  const ours = await startOurs(hook);
  servers.add(ours);
  const theirs = await startTheirs(hook);
  if (theirs) servers.add(theirs);
  disk.push(...syncLatencies(ours.folder));
  const measured = { ours: [] as IngestRound[], theirs: theirs && ([] as IngestRound[]) };
  try {
    if (!benchmark.isFresh) {
      // Ours is told of everything before it counts: the first notification of an alert is no part of refreshing it. Alertmanager need not be: alerts that
      // reach their group after its first flush would be told 5 minutes later.
      const warmUp = { ...benchmark, load: inPart(benchmark.load, WARM_UP_PART) };
      await run({ ...warmUp, waitsForProvider: true }, ours);
      if (theirs) await run(warmUp, theirs);
    }
    for (let round = 0; round < (benchmark.isFresh ? 1 : ROUNDS); round++) {
      measured.ours.push(await run(benchmark, ours));
      if (theirs) measured.theirs?.push(await run(benchmark, theirs));
    }
    return measured;
  } finally {
    for (const server of servers) await server.stop();
    servers.clear();
  }
}

function inPart(load: IngestCase['load'], part: number): IngestCase['load'] {
  const requests = Math.ceil(load.requests * part);
  return { ...load, requests, alerts: Math.min(load.alerts, requests * load.perRequest) };
}

async function run({ load, areNew, waitsForProvider }: IngestCase, server: IngestServer): Promise<IngestRound> {
  runs += 1;
  const name = areNew ? `run${runs}` : 'known';
  await ask('reset');
  const idleBytes = server.residentBytes();
  const startedAt = performance.now();
  const measured = await post({ ...load, run: name, authorization: server.authorization }, server.port);
  const answeredAt = performance.now();
  await server.merged();
  const mergeSeconds = measured.seconds + secondsSince(answeredAt);
  if (waitsForProvider) await toldOf(load.alerts);
  const toldSeconds = secondsSince(startedAt);

  const { arrivals } = (await ask('arrivals')) as { arrivals: Record<string, number> };
  const resident = server.residentBytes();
  console.error(
    `    ${server.name}: answered after ${measured.seconds.toFixed(2)} s, merged ${mergeSeconds.toFixed(2)} s, told ${toldSeconds.toFixed(2)} s;` +
      ` ${mebibytes(idleBytes)} before, ${mebibytes(resident)} after; client ${Math.round(measured.clientCpu * 100)} % of a core`,
  );
  return {
    postsPerSecond: load.requests / measured.seconds,
    mergedPerSecond: (load.requests * load.perRequest) / mergeSeconds,
    latencies: measured.sentAt.map((at, index) => arrivals[`${name}-${index}`]! - at),
    resident,
  };
}

async function post(load: IngestLoad, port: number): Promise<IngestMeasured> {
  const script = join(import.meta.dirname, 'ingest-load.js');
  const { stdout } = await promisify(execFile)(process.execPath, [script, String(port), JSON.stringify(load)], {
    maxBuffer: ANSWER_BYTES_MAX,
  });
  const measured = JSON.parse(stdout) as IngestMeasured;
  busiestClient = Math.max(busiestClient, measured.clientCpu);
  return measured;
}

/** Nothing vanishes, also here: a round whose alerts do not all arrive fails. */
async function toldOf(alerts: number): Promise<void> {
  await waitFor(async () => ((await ask('count')) as { count: number }).count >= alerts, {
    timeoutMs: TOLD_MS_MAX,
    what: `the receiver to be told of ${alerts} alerts`,
    pollMs: 50,
  });
}

async function ask(question: ReceiverQuestion): Promise<ReceiverAnswer> {
  const answer = once(receiver, 'message');
  receiver.send(question);
  return (await answer)[0];
}

function print(lines: readonly string[]): void {
  const cores = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const latency = `p50 ${quantile(disk, 0.5).toFixed(2)} ms, p99 ${quantile(disk, 0.99).toFixed(2)} ms`;
  console.log(`${cores.length} cores ${cores[0]?.model}, ${gigabytes} GB, Node ${process.version};`);
  console.log(`disk: 4 KiB append + fdatasync ${latency}; medians of ${ROUNDS} alternating rounds;`);
  console.log(`the client's process needed at most ${Math.round(busiestClient * 100)} % of a core.`);
  console.log('Tocsin answers when the alerts are on disk; Alertmanager answers before anything is durable.\n');
  console.log('| ingest and dispatch | Tocsin | Alertmanager 0.25 | ratio | target | |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const line of lines) console.log(line);
}

function secondsSince(instant: number): number {
  return (performance.now() - instant) / 1_000;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
