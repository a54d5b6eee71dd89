// What a message costs the broker's own thread from publish to acknowledgement, without sockets and disk: prepared bytes go into
// connections whose stream drops what is written, and the log's files take everything at once. Prints microseconds for each message
// of the best slices, which other work on the machine disturbs least; for comparing two builds, and for `node --cpu-prof`.
// Argument: messages of each case (150000).

import { setImmediate as nextTick } from 'node:timers/promises';
import { Broker, openEngine } from '#broker';
import { preparePublishes } from './light-client.js';
import { MuteWire } from './mute-wire.js';
import { quantile } from './statistics.js';

/** What a socket is read in. */
const CHUNK_BYTES = 64 * 1024;
const PREFETCH = 300;
const ACK_EVERY = 50;
const FLAGS = { passive: false, durable: true, exclusive: false, autoDelete: false, nowait: false, arguments: [] };

type Files = NonNullable<Parameters<typeof openEngine>[0]['files']>;

const messages = Number(process.argv[2] ?? 150_000);
const engine = await openEngine({ directory: 'nowhere', files: filesThatTakeAll() });
const broker = new Broker({ virtualHosts: engine, durability: engine.durability });

for (const { bodyBytes, queues } of [
  { bodyBytes: 100, queues: 1 },
  { bodyBytes: 1_024, queues: 1 },
  { bodyBytes: 1_024, queues: 10 },
]) {
  const costs = await costsOf(bodyBytes, queues, Math.round(messages / queues));
  const [best, typical] = [quantile(costs, 0.03), quantile(costs, 0.5)].map((cost) => cost.toFixed(2));
  const where = queues === 1 ? 'one queue' : `fanout to ${queues} queues`;
  console.log(`${bodyBytes} B, ${where}: best ${best}, median ${typical} us a message`);
}
await broker.close();
await engine.close();

async function costsOf(bodyBytes: number, queueCount: number, count: number): Promise<number[]> {
  const queues = Array.from({ length: queueCount }, (_, index) => `hot.${bodyBytes}.${queueCount}.${index}`);
  const exchange = queueCount === 1 ? '' : 'hot.fanout';
  const producer = await MuteWire.connect(broker);
  for (const queue of queues) await producer.says(1, 'queue.declare', { queue, ...FLAGS });
  if (exchange !== '') await declareFanout(producer, exchange, queues);
  await producer.says(1, 'confirm.select', { nowait: false });
  const consumers = await Promise.all(queues.map((queue) => consume(queue)));

  const perChunk = Math.floor(CHUNK_BYTES / (bodyBytes + 64));
  const target = { exchange, routingKey: exchange === '' ? queues[0]! : '' };
  const { bytes } = preparePublishes([target], bodyBytes, perChunk);
  const costs: number[] = [];
  const before = broker.counters.delivered;
  let acknowledged = 0;
  for (let sent = perChunk; sent <= count; sent += perChunk) {
    const startedAt = performance.now();
    // Memory of its own for each chunk, as a socket's: bodies are slices of it.
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    bytes.copy(chunk);
    producer.hears(chunk.subarray(0, bytes.length));
    await nextTick();
    while (broker.counters.delivered - before < sent * queueCount) {
      const delivered = Math.floor((broker.counters.delivered - before) / queueCount);
      for (; acknowledged + ACK_EVERY <= delivered; acknowledged += ACK_EVERY) {
        for (const consumer of consumers) consumer.acknowledges(acknowledged + ACK_EVERY);
      }
      await nextTick();
    }
    costs.push(((performance.now() - startedAt) * 1_000) / perChunk);
  }
  // The first half warms up.
  return costs.slice(costs.length >> 1);
}

async function declareFanout(wire: MuteWire, exchange: string, queues: readonly string[]): Promise<void> {
  const { passive, durable, autoDelete, nowait } = FLAGS;
  const declaration = {
    exchange,
    type: 'fanout',
    passive,
    durable,
    autoDelete,
    internal: false,
    nowait,
    arguments: [],
  };
  await wire.says(1, 'exchange.declare', declaration);
  for (const queue of queues) {
    await wire.says(1, 'queue.bind', { queue, exchange, routingKey: '', nowait: false, arguments: [] });
  }
}

async function consume(queue: string): Promise<MuteWire> {
  const wire = await MuteWire.connect(broker);
  await wire.says(1, 'basic.qos', { prefetchSize: 0, prefetchCount: PREFETCH, global: false });
  const flags = { noLocal: false, noAck: false, exclusive: false, nowait: false, arguments: [] };
  await wire.says(1, 'basic.consume', { queue, consumerTag: 'hot', ...flags });
  return wire;
}

function filesThatTakeAll(): Files {
  const taken = async () => undefined;
  return {
    list: async () => [],
    makeDirectory: taken,
    open: async () => 3,
    size: async () => 0,
    truncate: taken,
    read: (_file, _buffer, _position, done) => setImmediate(done, null, 0),
    write: (_file, _buffers, _position, done) => setImmediate(done, null),
    fdatasync: (_file, done) => setImmediate(done, null),
    fsync: taken,
    close: taken,
    rename: taken,
    unlink: taken,
    fsyncDirectory: taken,
    freeBytes: async () => Number.MAX_SAFE_INTEGER,
  };
}
