// A process of its own that loads one broker and prints what it measured as JSON:
//   node load.js PORT BODY_BYTES COUNT WINDOW publish-consume|publish
import { LightClient } from './light-client.js';

export interface Measured {
  seconds: number;
  /** Confirm latencies in ms, only with window 1. */
  latencies: number[];
}

const PREFETCH = 300;
const ACK_EVERY = 50;

const [port, bodyBytes, count, window] = process.argv.slice(2, 6).map(Number) as [number, number, number, number];
const consumes = process.argv[6] === 'publish-consume';
const queue = `bench.${process.pid}`;

const producer = await LightClient.connect(port);
await producer.declareQueue(queue);
await producer.selectConfirms();
const consumer = consumes ? await LightClient.connect(port) : undefined;
await consumer?.consume(queue, PREFETCH, ACK_EVERY);

const startedAt = performance.now();
const latencies = window === 1 ? await publishOneByOne() : await publishAll();
const seconds = (performance.now() - startedAt) / 1_000;
await producer.deleteQueue(queue);
await consumer?.close();
await producer.close();
process.stdout.write(JSON.stringify({ seconds, latencies } satisfies Measured));

async function publishAll(): Promise<number[]> {
  const consumed = new Promise<void>((resolve) => {
    if (consumer === undefined) return resolve();
    consumer.onProgress = () => {
      if (consumer.delivered === count) resolve();
    };
  });
  await producer.publish(queue, count, bodyBytes, window);
  await consumed;
  return [];
}

async function publishOneByOne(): Promise<number[]> {
  const latencies: number[] = [];
  for (let index = 0; index < count; index++) {
    const sentAt = performance.now();
    await producer.publish(queue, 1, bodyBytes, 1);
    latencies.push(performance.now() - sentAt);
  }
  return latencies;
}
