// A process of its own that loads one broker and prints what it measured as JSON: node load.js PORT LOAD, where LOAD is JSON too.
import {
  atOnce,
  LightClient,
  type PreparedPublishes,
  Producer,
  preparePublishes,
  StampingProducer,
} from './light-client.js';
import { quantile } from './statistics.js';

/** Durable queues and manual acknowledgements in all of them. */
export interface Load {
  /**
   * `stream`: publish and consume at full speed for a while. `backlog`: publish `count`, then drain them. `lone`: `count` publishes,
   * each sent when the one before is confirmed. `paced`: a fixed rate for a while, consumed at once.
   */
  kind: 'stream' | 'backlog' | 'lone' | 'paced';
  bodyBytes: number;
  isPersistent: boolean;
  withConfirms: boolean;
  /** Publishes of one producer that wait for their confirm; without confirms, for their delivery. */
  window: number;
  prefetch: number;
  ackEvery: number;
  /** Shared out evenly over the queues. */
  producers: number;
  consumers: number;
  queues: number;
  /** Each message goes to all queues, through a fanout exchange. */
  isFanout: boolean;
  warmUpMs: number;
  measureMs: number;
  count: number;
  perSecond: number;
}

export interface Latency {
  p50: number;
  p99: number;
}

export interface Measured {
  /** Messages a second: published ones that arrived in all their queues. */
  rate?: number;
  publishRate?: number;
  drainRate?: number;
  /** In ms. */
  confirm?: Latency;
  endToEnd?: Latency;
  /** Part of one core that this process needed. */
  clientCpu: number;
}

/** Prepared messages that are stamped in turn. */
const STAMPED_COUNT = 256;

const [port, load] = [Number(process.argv[2]), JSON.parse(process.argv[3]!) as Load];
const name = `bench.${process.pid}`;
const queues = Array.from({ length: load.queues }, (_, index) => `${name}.${index}`);

const owner = await LightClient.connect(port);
for (const queue of queues) await owner.declareQueue(queue);
if (load.isFanout) await owner.declareFanout(name, queues);

let cpuAt = process.cpuUsage();
let measuredAt = performance.now();
const run = { stream, backlog, lone, paced }[load.kind];
const measured = await run();

for (const queue of queues) await owner.deleteQueue(queue);
if (load.isFanout) {
  await owner.call('exchange.delete', { exchange: name, ifUnused: false, nowait: false }, 'exchange.delete-ok');
}
await owner.close();
process.stdout.write(JSON.stringify(measured));
process.exit();

async function stream(): Promise<Measured> {
  const consumers = await connectConsumers();
  const clients = await connectProducers();
  const delivered = () => sum(consumers, (client) => client.delivered);
  const published = () => sum(clients, (client) => client.published);
  const copies = load.isFanout ? load.queues : 1;

  const producers = clients.map((client, index) => {
    const outstanding = load.withConfirms
      ? () => client.published - client.confirmed
      : () => published() - delivered() / copies;
    const producer = new Producer(client, publishesTo(index), load.window, outstanding);
    client.onProgress = () => producer.pump();
    return producer;
  });
  if (!load.withConfirms) for (const client of consumers) client.onProgress = () => producers[0]!.pump();
  for (const producer of producers) producer.pump();

  await pause(load.warmUpMs);
  const before = delivered();
  startMeasuring();
  await pause(load.measureMs);
  const rate = (delivered() - before) / copies / secondsMeasured();
  const clientCpu = cpuMeasured();

  for (const producer of producers) producer.stop();
  const isDone = () => delivered() === published() * copies && clients.every(isConfirmed);
  await until(isDone, [...clients, ...consumers]);
  return { rate, clientCpu };
}

async function backlog(): Promise<Measured> {
  const [producer] = await connectProducers();
  const prepared = publishesTo(0);
  await producer!.publishPrepared(prepared, Math.round(load.count / 20), load.window);
  startMeasuring();
  const count = load.count - producer!.published;
  await producer!.publishPrepared(prepared, count, load.window);
  const publishRate = count / secondsMeasured();

  const [consumer] = await connectConsumers();
  const before = consumer!.delivered;
  const drainedAt = performance.now();
  await until(() => consumer!.delivered === load.count, [consumer!]);
  const drainRate = (load.count - before) / ((performance.now() - drainedAt) / 1_000);
  return { publishRate, drainRate, clientCpu: cpuMeasured() };
}

async function lone(): Promise<Measured> {
  const [producer] = await connectProducers();
  const latencies = new Float64Array(load.count);
  const prepared = publishesTo(0, STAMPED_COUNT);
  await producer!.publishPrepared(prepared, Math.round(load.count / 10), 1);
  startMeasuring();
  const sender = new StampingProducer(producer!, prepared);
  for (let index = 0; index < load.count; index++) {
    const sentAt = sender.send();
    await new Promise<void>((resolve) => {
      producer!.onProgress = resolve;
    });
    latencies[index] = performance.now() - sentAt;
  }
  return { confirm: latencyOf(latencies), clientCpu: cpuMeasured() };
}

async function paced(): Promise<Measured> {
  const [consumer] = await connectConsumers();
  const [producer] = await connectProducers();
  const total = Math.round((load.perSecond * (load.warmUpMs + load.measureMs)) / 1_000);
  const first = Math.round((load.perSecond * load.warmUpMs) / 1_000);
  const sentAt = new Float64Array(total + 1);
  const confirmed = new Float64Array(total + 1);
  const arrived = new Float64Array(total + 1);
  producer!.onConfirmed = (from, to) => {
    const now = performance.now();
    for (let tag = from; tag <= to; tag++) confirmed[tag] ||= now - sentAt[tag]!;
  };
  consumer!.onBody = (bytes, start) => {
    arrived[consumer!.delivered] = performance.now() - bytes.readDoubleBE(start);
  };

  const sender = new StampingProducer(producer!, publishesTo(0, STAMPED_COUNT));
  const startedAt = performance.now();
  startMeasuring();
  await new Promise<void>((resolve) => {
    // Timers are a millisecond coarse: whatever has fallen due goes out.
    const timer = setInterval(() => {
      const due = Math.min(total, ((performance.now() - startedAt) / 1_000) * load.perSecond);
      while (producer!.published < due) sentAt[producer!.published + 1] = sender.send();
      if (producer!.published < total) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  const clientCpu = cpuMeasured();
  await until(() => consumer!.delivered === total && isConfirmed(producer!), [producer!, consumer!]);
  return {
    confirm: latencyOf(confirmed.subarray(first + 1)),
    endToEnd: latencyOf(arrived.subarray(first + 1)),
    clientCpu,
  };
}

function publishesTo(index: number, count = atOnce(load.bodyBytes, load.window)): PreparedPublishes {
  const { bodyBytes, isPersistent, isFanout } = load;
  const address = isFanout
    ? { exchange: name, routingKey: '' }
    : { exchange: '', routingKey: queues[index % queues.length]! };
  return preparePublishes([{ ...address, isTransient: !isPersistent }], bodyBytes, count);
}

async function connectProducers(): Promise<LightClient[]> {
  const clients: LightClient[] = [];
  for (let index = 0; index < load.producers; index++) {
    const client = await LightClient.connect(port);
    if (load.withConfirms) await client.selectConfirms();
    clients.push(client);
  }
  return clients;
}

async function connectConsumers(): Promise<LightClient[]> {
  const clients: LightClient[] = [];
  for (let index = 0; index < load.consumers; index++) {
    const client = await LightClient.connect(port);
    await client.consume(queues[index % queues.length]!, load.prefetch, load.ackEvery);
    clients.push(client);
  }
  return clients;
}

function isConfirmed(client: LightClient): boolean {
  return !load.withConfirms || client.confirmed === client.published;
}

function until(isReached: () => boolean, clients: readonly LightClient[]): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (isReached()) resolve();
    };
    for (const client of clients) client.onProgress = look;
    look();
  });
}

function startMeasuring(): void {
  cpuAt = process.cpuUsage();
  measuredAt = performance.now();
}

function secondsMeasured(): number {
  return (performance.now() - measuredAt) / 1_000;
}

function cpuMeasured(): number {
  const { user, system } = process.cpuUsage(cpuAt);
  return (user + system) / 1e6 / secondsMeasured();
}

function latencyOf(latencies: Float64Array): Latency {
  const values = [...latencies];
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99) };
}

function sum(clients: readonly LightClient[], of: (client: LightClient) => number): number {
  let total = 0;
  for (const client of clients) total += of(client);
  return total;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
