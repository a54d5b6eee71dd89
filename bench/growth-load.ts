// A process of its own that loads one broker in one way and prints what it measured as JSON: node growth-load.js PORT LOAD, LOAD a
// JSON object as in `Load`.
import { type Table, tableOf } from '#amqp-codec';
import { LightClient, type PublishTarget, preparePublishes } from './light-client.js';
import { residentBytes } from './resident.js';

export type BoundExchange = 'direct' | 'topic' | 'headers';

export type Load =
  /** Publishes to a queue that nobody consumes. */
  | { do: 'fill'; queue: string; count: number }
  /** Publishes and consumes as many from the same queue, whatever lies in it already. */
  | { do: 'through'; queue: string; count: number }
  /** Consumes what a queue holds. */
  | { do: 'drain'; queue: string; count: number }
  /** One queue with as many bindings of an exchange; each publish meets one of them. */
  | { do: 'bindings'; type: BoundExchange; bindings: number; count: number }
  /** Queues that are there while one, or all of them, carry the messages. */
  | { do: 'queues'; queues: number; carrying: 'one' | 'all'; count: number }
  /** Connections that are open while one pair, or all of them, carry the messages through one queue. */
  | { do: 'connections'; connections: number; carrying: 'one' | 'all'; count: number; pid: number }
  /** Every `every`th message goes to a queue whose consumer is away, the others to one that is consumed. */
  | { do: 'slow-consumer'; slow: string; fast: string; every: number; count: number };

export interface Loaded {
  /** For the messages alone. */
  seconds: number;
  /** For declaring what the load needs. */
  setupSeconds: number;
  /** What the broker's resident memory grew by while a load opened its connections. */
  grownBytes: number;
}

const BODY_BYTES = 1_024;
const WINDOW = 1_000;
/** Of each of many connections: with a lone message under way on each, system calls are all that is measured. */
const WINDOW_OF_MANY = 50;
const PREFETCH = 300;
const ACK_EVERY = 50;
/** Publishes prepared at most: more than the queues or bindings of any load. */
const PREPARED_MAX = 10_000;
/** Queues, bindings and consumers on their way at once. */
const DECLARED_AT_ONCE = 500;

const port = Number(process.argv[2]);
const load = JSON.parse(process.argv[3]!) as Load;
process.stdout.write(JSON.stringify(await run()));

async function run(): Promise<Loaded> {
  switch (load.do) {
    case 'fill':
      return carry({ queues: [load.queue], consumed: [], targets: [toQueue(load.queue)], publishes: load.count });
    case 'through':
      return carry({
        queues: [load.queue],
        consumed: [load.queue],
        targets: [toQueue(load.queue)],
        ...both(load.count),
      });
    case 'drain':
      return carry({ queues: [], consumed: [load.queue], targets: [], deliveries: load.count });
    case 'bindings':
      return throughBindings(load.type, load.bindings, load.count);
    case 'queues':
      return throughQueues(load.queues, load.carrying, load.count);
    case 'connections':
      return throughConnections(load.connections, load.carrying, load.count, load.pid);
    case 'slow-consumer': {
      const { slow, fast, every, count } = load;
      const targets = Array.from({ length: every }, (_, index) => toQueue(index === 0 ? slow : fast));
      const deliveries = count - count / every;
      return carry({ queues: [slow, fast], consumed: [fast], targets, publishes: count, deliveries });
    }
  }
}

interface Course {
  /** Declared first. */
  queues: readonly string[];
  consumed: readonly string[];
  /** In turn. */
  targets: readonly PublishTarget[];
  publishes?: number;
  deliveries?: number;
}

function both(count: number): { publishes: number; deliveries: number } {
  return { publishes: count, deliveries: count };
}

/** One producer and one consumer; ends when everything is confirmed and delivered. */
async function carry({ queues, consumed, targets, publishes = 0, deliveries = 0 }: Course): Promise<Loaded> {
  // Before the clock starts: thousands of targets take the client some hundred milliseconds.
  const prepared = publishes === 0 ? undefined : preparePublishes(targets, BODY_BYTES, preparedCount(targets));
  const declaredAt = performance.now();
  const producer = await LightClient.connect(port);
  await declareQueues(producer, queues);
  await producer.selectConfirms();
  const consumer = await LightClient.connect(port);
  const delivered = hasDelivered([consumer], deliveries);
  const consumesAt = performance.now();
  if (consumed.length > 0) await consumer.consumeEach(consumed, PREFETCH, ACK_EVERY, deliveries);
  // What lies there already comes with the consumer; thousands of consumers take their time before anything is published.
  const startedAt = publishes === 0 ? consumesAt : performance.now();
  if (prepared !== undefined) await producer.publishPrepared(prepared, publishes, WINDOW);
  await delivered;
  const seconds = (performance.now() - startedAt) / 1_000;
  consumer.acknowledgeAll();
  await consumer.close();
  await producer.close();
  return { seconds, setupSeconds: (startedAt - declaredAt) / 1_000, grownBytes: 0 };
}

async function throughBindings(type: BoundExchange, bindings: number, count: number): Promise<Loaded> {
  const exchange = `growth.${type}`;
  const queue = `growth.${type}`;
  const admin = await LightClient.connect(port);
  const flags = { passive: false, durable: true, autoDelete: false, internal: false, nowait: false };
  await admin.call('exchange.declare', { exchange, type, ...flags, arguments: [] }, 'exchange.declare-ok');
  await admin.declareQueue(queue);
  const startedAt = performance.now();
  await inSteps(bindings, async (index, isLast) => {
    const binding = { queue, exchange, ...bindingOf(type, index), nowait: !isLast };
    if (isLast) await admin.call('queue.bind', binding, 'queue.bind-ok');
    else admin.tell('queue.bind', binding);
  });
  const setupSeconds = (performance.now() - startedAt) / 1_000;
  const targets = Array.from({ length: bindings }, (_, index) => ({ exchange, ...publishOf(type, index) }));
  const { seconds } = await carry({ queues: [queue], consumed: [queue], targets, ...both(count) });
  await admin.call('exchange.delete', { exchange, ifUnused: false, nowait: false }, 'exchange.delete-ok');
  await admin.deleteQueue(queue);
  await admin.close();
  return { seconds, setupSeconds, grownBytes: 0 };
}

function bindingOf(type: BoundExchange, index: number): { routingKey: string; arguments: Table } {
  const number = padded(index);
  switch (type) {
    case 'direct':
      return { routingKey: `key.${number}`, arguments: [] };
    case 'topic':
      return { routingKey: `*.${number}.#`, arguments: [] };
    case 'headers':
      return { routingKey: '', arguments: tableOf({ 'x-match': 'all', kind: 'growth', number }) };
  }
}

function publishOf(type: BoundExchange, index: number): { routingKey: string; headers?: Table } {
  const number = padded(index);
  switch (type) {
    case 'direct':
      return { routingKey: `key.${number}` };
    case 'topic':
      return { routingKey: `key.${number}.more` };
    case 'headers':
      return { routingKey: '', headers: tableOf({ kind: 'growth', number }) };
  }
}

async function throughQueues(queues: number, carrying: 'one' | 'all', count: number): Promise<Loaded> {
  const names = Array.from({ length: queues }, (_, index) => `growth.queue.${padded(index)}`);
  const admin = await LightClient.connect(port);
  const startedAt = performance.now();
  await declareQueues(admin, names);
  const setupSeconds = (performance.now() - startedAt) / 1_000;
  const used = carrying === 'one' ? names.slice(0, 1) : names;
  const course = { queues: [], consumed: used, targets: used.map(toQueue), ...both(count) };
  const { seconds } = await carry(course);
  await inSteps(queues, async (index, isLast) => {
    if (isLast) await admin.deleteQueue(names[index]!);
    else admin.tell('queue.delete', { queue: names[index]!, ifUnused: false, ifEmpty: false, nowait: true });
  });
  await admin.close();
  return { seconds, setupSeconds, grownBytes: 0 };
}

async function throughConnections(
  connections: number,
  carrying: 'one' | 'all',
  count: number,
  pid: number,
): Promise<Loaded> {
  const queue = 'growth.connections';
  const startedAt = performance.now();
  const before = residentBytes(pid);
  const clients: LightClient[] = [];
  while (clients.length < connections) clients.push(await LightClient.connect(port));
  const setupSeconds = (performance.now() - startedAt) / 1_000;
  const grownBytes = residentBytes(pid) - before;
  if (carrying === 'one') {
    const { seconds } = await carry({ queues: [queue], consumed: [queue], targets: [toQueue(queue)], ...both(count) });
    await closeAll(clients);
    return { seconds, setupSeconds, grownBytes };
  }
  await clients[0]!.declareQueue(queue);
  for (const client of clients) await client.selectConfirms();
  const windowEach = Math.max(WINDOW_OF_MANY, Math.floor(WINDOW / connections));
  const countEach = Math.floor(count / connections);
  const prepared = preparePublishes([toQueue(queue)], BODY_BYTES, windowEach);
  const delivered = hasDelivered(clients, countEach * connections);
  for (const client of clients) await client.consume(queue, PREFETCH, ackEvery(windowEach));
  // As everywhere here: thousands of round trips to declare consumers are not what is measured.
  const sentAt = performance.now();
  await Promise.all([...clients.map((client) => client.publishPrepared(prepared, countEach, windowEach)), delivered]);
  const seconds = (performance.now() - sentAt) / 1_000;
  await closeAll(clients);
  return { seconds, setupSeconds, grownBytes };
}

/** So that no consumer sits on deliveries it will never be able to acknowledge. */
function ackEvery(windowEach: number): number {
  return Math.max(1, Math.min(ACK_EVERY, windowEach));
}

async function closeAll(clients: readonly LightClient[]): Promise<void> {
  for (const client of clients) await client.close();
}

function declareQueues(client: LightClient, names: readonly string[]): Promise<void> {
  const flags = { passive: false, durable: true, exclusive: false, autoDelete: false, nowait: true, arguments: [] };
  return inSteps(names.length, async (index, isLast) => {
    if (isLast) await client.declareQueue(names[index]!);
    else client.tell('queue.declare', { queue: names[index]!, ...flags });
  });
}

/** `step` is told which is the last of a batch: that one waits for its answer. */
async function inSteps(count: number, step: (index: number, isLast: boolean) => Promise<void>): Promise<void> {
  for (let index = 0; index < count; index++) {
    await step(index, index === count - 1 || index % DECLARED_AT_ONCE === DECLARED_AT_ONCE - 1);
  }
}

function hasDelivered(clients: readonly LightClient[], deliveries: number): Promise<void> {
  return new Promise((resolve) => {
    if (deliveries === 0) return resolve();
    let left = deliveries;
    for (const client of clients) {
      let seen = 0;
      client.onProgress = () => {
        left -= client.delivered - seen;
        seen = client.delivered;
        if (left <= 0) resolve();
      };
    }
  });
}

/** Whole turns through the targets; as many for one target as for thousands, so that they cost the client the same. */
function preparedCount(targets: readonly PublishTarget[]): number {
  return targets.length * Math.max(1, Math.floor(PREPARED_MAX / targets.length));
}

function toQueue(routingKey: string): PublishTarget {
  return { exchange: '', routingKey };
}

function padded(index: number): string {
  return String(index).padStart(5, '0');
}
