// Ours beside Debian's RabbitMQ (classic durable queue), the same light client in alternating rounds: durable queue, persistent
// messages, publisher confirms, manual acks. Ours confirms after fdatasync; RabbitMQ 3.10's classic queue does not wait for it.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeFolder, startRabbitmq, startService } from '#testing';
import { syncLatencies } from './disk.js';
import type { Measured } from './load.js';
import { median, quantile } from './statistics.js';

interface Case {
  name: string;
  bodyBytes: number;
  count: number;
  window: number;
  load: 'publish-consume' | 'publish';
}

const CASES: readonly Case[] = [
  {
    name: '1 KiB, window 1000, publish + consume',
    bodyBytes: 1_024,
    count: 200_000,
    window: 1_000,
    load: 'publish-consume',
  },
  {
    name: '100 B, window 5000, publish + consume',
    bodyBytes: 100,
    count: 300_000,
    window: 5_000,
    load: 'publish-consume',
  },
  { name: '1 KiB, window 1000, publish only', bodyBytes: 1_024, count: 200_000, window: 1_000, load: 'publish' },
  { name: '1 KiB, window 1, confirm latency', bodyBytes: 1_024, count: 1_000, window: 1, load: 'publish' },
];
const ROUNDS = 3;

const ours = await startService({ app: 'broker' });
const rabbitmq = await startRabbitmq();
if (rabbitmq === undefined) console.log('rabbitmq-server is not installed: our own figures only');
const peers = [
  { name: 'tocsin', port: Number(new URL(ours.amqp).port) },
  ...(rabbitmq === undefined ? [] : [{ name: 'rabbitmq', port: Number(new URL(rabbitmq.url).port) }]),
];

try {
  const disk = syncLatencies(ours.folder);
  console.log(`disk: 4 KiB append + fdatasync p50 ${ms(median(disk))}, p99 ${ms(quantile(disk, 0.99))}`);
  for (const benchmark of CASES) console.log(await compare(benchmark));
} finally {
  await ours.kill();
  await rabbitmq?.stop();
  await removeFolder(ours.folder);
}

async function compare(benchmark: Case): Promise<string> {
  const measured = new Map<string, Measured[]>(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, port } of peers) measured.get(name)!.push(await run(benchmark, port));
  }
  const [mine, theirs] = peers.map(({ name }) => summary(benchmark, measured.get(name)!));
  if (theirs === undefined) return `${benchmark.name}: ${mine!.text}`;
  const ratio = (mine!.value / theirs.value).toFixed(2);
  return `${benchmark.name}: tocsin ${mine!.text}, rabbitmq ${theirs.text}, ratio ${ratio}`;
}

function summary({ count, window }: Case, rounds: readonly Measured[]): { value: number; text: string } {
  if (window === 1) {
    const p50 = median(rounds.map(({ latencies }) => median(latencies)));
    const p99 = median(rounds.map(({ latencies }) => quantile(latencies, 0.99)));
    return { value: p50, text: `p50 ${ms(p50)} p99 ${ms(p99)}` };
  }
  const rate = median(rounds.map(({ seconds }) => count / seconds));
  return { value: rate, text: `${Math.round(rate).toLocaleString('en')} msg/s` };
}

async function run({ bodyBytes, count, window, load }: Case, port: number): Promise<Measured> {
  const script = join(import.meta.dirname, 'load.js');
  const parameters = [script, port, bodyBytes, count, window, load].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, parameters);
  return JSON.parse(stdout);
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}
