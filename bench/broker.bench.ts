// Ours beside Debian's RabbitMQ (classic durable queues), the same light client in alternating rounds; prints a Markdown table. What a
// confirm means at either: docs/durability.md.
// Arguments: words of a case's name, to run the cases that have them all; --rounds N (3).
import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { removeFolder, startRabbitmq, startService } from '#testing';
import { CASES, type Case, milliseconds, type Rounds, type Row } from './broker-cases.js';
import { syncLatencies } from './disk.js';
import { LightClient, preparePublishes } from './light-client.js';
import type { Latency, Load, Measured } from './load.js';
import { median, quantile } from './statistics.js';

/** Messages of the look at what a fanout writes. */
const FANOUT_LOOK_COUNT = 5_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' } },
});
const ROUNDS = Number(values.rounds);
const words = positionals.join(' ').toLowerCase().split(' ');
const wanted = CASES.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
if (wanted.length === 0) throw new Error(`no case has '${words.join(' ')}' in its name; there are:\n${caseNames()}`);

const ours = await startService({ app: 'broker' });
const rabbitmq = await startRabbitmq().catch(async (error) => {
  await ours.kill();
  throw error;
});
const ourPort = Number(new URL(ours.amqp).port);
const theirPort = rabbitmq === undefined ? undefined : Number(new URL(rabbitmq.url).port);
const disks: Latency[] = [];
let busiestClient = 0;

try {
  const lines: string[] = [];
  for (const benchmark of wanted) {
    console.error(`... ${benchmark.name}`);
    const rounds = await runRounds(benchmark);
    lines.push(...benchmark.rows(rounds).map(lineOf));
    if (benchmark.load.isFanout) lines.push(lineOf(await fanoutBytesRow(benchmark.load)));
  }
  print(lines);
} finally {
  await ours.kill();
  await rabbitmq?.stop();
  await removeFolder(ours.folder);
}

async function runRounds({ load, beside }: Case): Promise<Rounds> {
  const rounds = {
    ours: [] as Measured[],
    theirs: theirPort === undefined ? undefined : ([] as Measured[]),
    beside: [] as Measured[],
  };
  const disk: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    disk.push(...syncLatencies(ours.folder));
    rounds.ours.push(await run(load, ourPort));
    if (beside !== undefined) rounds.beside.push(await run(beside, ourPort));
    if (theirPort !== undefined) rounds.theirs!.push(await run(load, theirPort));
  }
  const latency = { p50: quantile(disk, 0.5), p99: quantile(disk, 0.99) };
  disks.push(latency);
  return { ...rounds, disk: latency };
}

async function run(load: Load, port: number): Promise<Measured> {
  const script = join(import.meta.dirname, 'load.js');
  const { stdout } = await promisify(execFile)(process.execPath, [script, String(port), JSON.stringify(load)]);
  const measured = JSON.parse(stdout) as Measured;
  busiestClient = Math.max(busiestClient, measured.clientCpu);
  return measured;
}

/** How much the data folder grows for a message that goes to all queues of the fanout and stays there. */
async function fanoutBytesRow({ queues: queueCount, bodyBytes }: Load): Promise<Row> {
  const client = await LightClient.connect(ourPort);
  const queues = Array.from({ length: queueCount }, (_, index) => `bench.stored.${index}`);
  for (const queue of queues) await client.declareQueue(queue);
  await client.declareFanout('bench.stored', queues);
  await client.selectConfirms();
  const prepared = preparePublishes([{ exchange: 'bench.stored', routingKey: '' }], bodyBytes, 1);
  await client.publishPrepared(prepared, 1, 1);
  const before = folderBytes(ours.folder);
  await client.publishPrepared(prepared, FANOUT_LOOK_COUNT, 100);
  const perMessage = (folderBytes(ours.folder) - before) / FANOUT_LOOK_COUNT;
  for (const queue of queues) await client.deleteQueue(queue);
  await client.close();
  return {
    what: '... bytes in the data folder for each message',
    ours: `${Math.round(perMessage)} B`,
    theirs: '',
    ratio: '',
    target: 'body stored once',
    isMet: perMessage < 2 * bodyBytes,
  };
}

function folderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}

function lineOf({ what, ours, theirs, ratio, target, isMet }: Row): string {
  const verdict = isMet === undefined ? '' : isMet ? 'met' : '**missed**';
  return `| ${[what, ours, theirs, ratio, target, verdict].join(' | ')} |`;
}

function print(lines: readonly string[]): void {
  const cores = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const at = (part: keyof Latency) => milliseconds(median(disks.map((disk) => disk[part])));
  const machine = `${cores.length} cores ${cores[0]?.model}, ${gigabytes} GB, Node ${process.version}`;
  const disk = `4 KiB append + fdatasync p50 ${at('p50')}, p99 ${at('p99')}`;
  console.log(`${machine}; disk: ${disk}; medians of ${ROUNDS} alternating rounds;`);
  console.log(`the client's process needed at most ${Math.round(busiestClient * 100)} % of a core.\n`);
  console.log(
    '| durable queues, persistent messages, confirms, manual acks | Tocsin | RabbitMQ 3.10 | ratio | target | |',
  );
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const line of lines) console.log(line);
}

function caseNames(): string {
  return CASES.map(({ name }) => `  ${name}`).join('\n');
}
