import { once } from 'node:events';
import { type AddressInfo, connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { closeAmqp, newFolder, removeFolder, type Service, startService, waitFor } from '#testing';
import { DiskShim, hasCompiler } from './disk-shim.js';

const WAIT_MS_MAX = 60_000;
const MESSAGES = 500;
/** Temporary queues in one round, and rounds: 20,000 in all, of which the first round shows what a round leaves anyway. */
const QUEUES = 4_000;
const ROUNDS = 5;
/** A channel waits for each of its answers, and an answer about a durable queue for the disk: channels share that wait. */
const CHANNELS = 100;
/** Resident memory that may come and go between rounds: about 5 KB for each queue that came and went. */
const NOISE_BYTES = 80 * 1024 * 1024;
/** How a temporary queue ends, and as what it is declared. */
const DECLARED = {
  delete: { durable: true },
  cancel: { durable: true, autoDelete: true },
  expiry: { durable: true, expires: 1 },
  connection: { exclusive: true },
} as const;
const ENDINGS = ['delete', 'cancel', 'expiry', 'connection'] as const;
const DAY_SECONDS = 86_400;

let folder: string;
let broker: Service;
const models: ChannelModel[] = [];

beforeEach(async () => {
  folder = await newFolder();
  broker = await startService({ app: 'broker', folder });
});
afterEach(async () => {
  await Promise.allSettled(models.splice(0).map(closeAmqp));
  await broker.kill();
  await removeFolder(folder);
});

async function openChannel(url = broker.amqp): Promise<ConfirmChannel> {
  const model = await connect(url);
  model.on('error', () => undefined); // cut or killed, as these stories want it
  models.push(model);
  const channel = await model.createConfirmChannel();
  channel.on('error', () => undefined);
  return channel;
}

async function publish(channel: ConfirmChannel, queue: string, bodies: readonly string[], options = {}): Promise<void> {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body), { persistent: true, ...options });
  await channel.waitForConfirms();
}

async function takeAll(queue: string): Promise<string[]> {
  const channel = await openChannel();
  const bodies: string[] = [];
  for (let message = await channel.get(queue); message !== false; message = await channel.get(queue)) {
    bodies.push(message.content.toString());
    channel.ack(message);
  }
  return bodies;
}

async function restartAfterKill(environment: Record<string, string> = {}): Promise<void> {
  await broker.kill();
  broker = await startService({ app: 'broker', folder, environment });
}

async function queueNames(): Promise<string[]> {
  const authorization = `Basic ${Buffer.from('guest:guest').toString('base64')}`;
  const page = await fetch(`${broker.management}/api/queues`, { headers: { authorization } });
  return ((await page.json()) as { name: string }[]).map(({ name }) => name);
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${broker.management}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

describe('a socket cut inside a body', () => {
  it('leaves nothing of that message, and all that was confirmed before', async () => {
    const cutter = await Cutter.before(broker.amqp);
    const channel = await openChannel(cutter.url);
    await channel.assertQueue('cut', { durable: true });
    await publish(channel, 'cut', ['whole']);
    cutter.cutAfter(300_000);
    channel.sendToQueue('cut', Buffer.alloc(1_000_000, 'x'), { persistent: true });
    await cutter.isCut;
    await publish(await openChannel(), 'cut', ['after']);
    await restartAfterKill();
    expect(await takeAll('cut')).toEqual(['whole', 'after']);
    await cutter.close();
  });
});

describe('acknowledgements in flight when their channel closes', () => {
  it('count: none of those messages comes back, also after a kill', async () => {
    const publisher = await openChannel();
    await publisher.assertQueue('closing', { durable: true });
    await publish(
      publisher,
      'closing',
      Array.from({ length: MESSAGES }, (_, index) => `message ${index}`),
    );
    const consumer = await openChannel();
    let left = MESSAGES - 1;
    const unacked = 'message 7';
    await new Promise<void>((resolve, reject) => {
      const onMessage = (message: { content: Buffer } | null) => {
        if (message === null || message.content.toString() === unacked) return;
        consumer.ack(message as Parameters<ConfirmChannel['ack']>[0]);
        left -= 1;
        if (left === 0) consumer.close().then(resolve, reject);
      };
      consumer.consume('closing', onMessage).catch(reject);
    });
    expect((await publisher.checkQueue('closing')).messageCount).toBe(1);
    await publisher.assertQueue('behind', { durable: true });
    await publish(publisher, 'behind', ['confirmed']);
    await restartAfterKill();
    expect(await takeAll('closing')).toEqual([unacked]);
  });
});

describe('a queue deleted under load', () => {
  it('answers every publish, tells its consumers, and brings nothing of it back', async () => {
    const publisher = await openChannel();
    const owner = await openChannel();
    await owner.assertQueue('doomed', { durable: true });
    let answered = 0;
    let sent = 0;
    let isOver = false;
    const publishing = (async () => {
      while (!isOver) {
        for (let burst = 0; burst < 50; burst++) {
          sent += 1;
          const id = String(sent);
          publisher.sendToQueue('doomed', Buffer.from(`early ${id}`), { persistent: true }, () => {
            answered += 1;
          });
        }
        await publisher.waitForConfirms().catch(() => undefined); // of a queue that has gone too
      }
    })();
    for (let round = 0; round < 20; round++) {
      const consumer = await openChannel();
      let seen = 0;
      const cancelled = new Promise<void>((resolve, reject) => {
        const onMessage = (message: Parameters<ConfirmChannel['ack']>[0] | null) => {
          if (message === null) resolve();
          else {
            seen += 1;
            if (seen % 2 === 0) consumer.ack(message);
          }
        };
        consumer.consume('doomed', onMessage).catch(reject);
      });
      await waitFor(() => seen > 20, { timeoutMs: WAIT_MS_MAX, what: 'deliveries' });
      await owner.deleteQueue('doomed');
      await cancelled;
      await consumer.close();
      await owner.assertQueue('doomed', { durable: true });
    }
    isOver = true;
    await publishing;
    expect(answered).toBe(sent);
    await owner.deleteQueue('doomed');
    await owner.assertQueue('doomed', { durable: true });
    await publish(owner, 'doomed', ['late']);
    await restartAfterKill();
    expect(await takeAll('doomed')).toEqual(['late']);
  });
});

describe('20,000 temporary queues', () => {
  it('come and go, each used once, and leave no queue, memory or live byte of the log behind', async () => {
    const keeper = await openChannel();
    await keeper.assertQueue('kept', { durable: true });
    await publish(keeper, 'kept', ['kept']);
    const liveBytes = await metric('tocsin_log_live_bytes');
    const memory: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const model = await connect(broker.amqp);
      models.push(model);
      await Promise.all(Array.from({ length: CHANNELS }, (_, index) => useQueues(model, index)));
      await model.close(); // takes the exclusive ones along
      await waitFor(async () => (await queueNames()).length === 1, {
        timeoutMs: WAIT_MS_MAX,
        what: 'the queues to be gone',
      });
      memory.push(await metric('rabbitmq_process_resident_memory_bytes'));
      expect(await metric('tocsin_log_live_bytes')).toBeLessThanOrEqual(liveBytes);
    }
    console.log(
      `resident after each round of ${QUEUES}, MB: ${memory.map((bytes) => Math.round(bytes / 1e6)).join(', ')}`,
    );
    expect(memory.at(-1)! - memory[0]!).toBeLessThan(NOISE_BYTES);
    await restartAfterKill();
    expect(await queueNames()).toEqual(['kept']);
    expect(await takeAll('kept')).toEqual(['kept']);
  });

  /** One channel's share, one after the other: a quarter each is deleted, cancelled, expires, or goes with its connection. */
  async function useQueues(model: ChannelModel, first: number): Promise<void> {
    const channel = await model.createConfirmChannel();
    for (let index = first; index < QUEUES; index += CHANNELS) {
      const ending = ENDINGS[Math.floor(index / CHANNELS) % ENDINGS.length]!;
      const { queue } = await channel.assertQueue('', DECLARED[ending]);
      channel.sendToQueue(queue, Buffer.from(queue), { persistent: true });
      if (ending === 'cancel') {
        await consumeOneAndCancel(channel, queue);
        continue;
      }
      if (ending === 'expiry') continue; // it may be gone any moment
      const message = await channel.get(queue, { noAck: ending !== 'connection' });
      if (message === false || message.content.toString() !== queue)
        throw new Error(`${queue} did not hold its message`);
      if (ending === 'delete') await channel.deleteQueue(queue);
    }
    await channel.waitForConfirms();
  }

  async function consumeOneAndCancel(channel: ConfirmChannel, queue: string): Promise<void> {
    let onDelivery: (body: string | undefined) => void = () => undefined;
    const delivered = new Promise<string | undefined>((resolve) => {
      onDelivery = resolve;
    });
    const take = (message: { content: Buffer } | null) => onDelivery(message?.content.toString());
    const { consumerTag } = await channel.consume(queue, take, { noAck: true });
    if ((await delivered) !== queue) throw new Error(`${queue} did not deliver its message`);
    await channel.cancel(consumerTag);
  }
});

(hasCompiler() ? describe : describe.skip)('a clock that is set while the broker runs', () => {
  it('neither ends a message or a queue early nor keeps it; over a restart the new time counts', async () => {
    const shim = await DiskShim.make(folder);
    await restartAfterKill(shim.environment());
    const channel = await openChannel();
    await channel.assertQueue('dead', { durable: true });
    const grave = { deadLetterExchange: '', deadLetterRoutingKey: 'dead' };
    await channel.assertQueue('long', { durable: true, messageTtl: 3_600_000, ...grave });
    await channel.assertQueue('short', { durable: true, messageTtl: 1_500, ...grave });
    await channel.assertQueue('leased long', { durable: true, expires: 3_600_000 });
    await publish(channel, 'long', ['for an hour']);

    await shim.shiftClock(DAY_SECONDS);
    await publish(channel, 'long', ['for an hour, tomorrow']);
    await publish(channel, 'short', ['one']);
    await waitFor(async () => (await channel.checkQueue('dead')).messageCount === 1, {
      timeoutMs: WAIT_MS_MAX,
      what: 'a message to expire after the clock was set forward',
    });
    expect((await channel.checkQueue('long')).messageCount).toBe(2);

    await channel.assertQueue('leased short', { durable: true, expires: 1_000 });
    await publish(channel, 'short', ['two']);
    await shim.shiftClock(-DAY_SECONDS);
    await waitFor(async () => (await channel.checkQueue('dead')).messageCount === 2, {
      timeoutMs: WAIT_MS_MAX,
      what: 'a message to expire after the clock was set back',
    });
    await waitFor(async () => (await metric('rabbitmq_queues')) === 4, {
      timeoutMs: WAIT_MS_MAX,
      what: 'a queue to expire after the clock was set back',
    });
    expect((await channel.checkQueue('long')).messageCount).toBe(2);

    await shim.shiftClock(DAY_SECONDS);
    await restartAfterKill(shim.environment());
    const after = await openChannel();
    await waitFor(async () => (await after.checkQueue('dead')).messageCount === 4, {
      timeoutMs: WAIT_MS_MAX,
      what: 'what ran out by the new time to expire at the start',
    });
    await shim.close();
  });
});

/** Between a client and the broker: passes everything on, then so many bytes and no more. */
class Cutter {
  readonly isCut: Promise<void>;
  private leftBytes = Number.POSITIVE_INFINITY;
  private onCut: () => void = () => undefined;

  private constructor(
    private readonly server: Server,
    private readonly port: number,
  ) {
    this.isCut = new Promise((resolve) => {
      this.onCut = resolve;
    });
    server.on('connection', (client) => this.join(client));
  }

  static async before(url: string): Promise<Cutter> {
    const server = createServer();
    const cutter = new Cutter(server, Number(new URL(url).port));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return cutter;
  }

  get url(): string {
    return `amqp://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  cutAfter(bytes: number): void {
    this.leftBytes = bytes;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
    });
  }

  private join(client: Socket): void {
    const upstream = connectSocket(this.port, '127.0.0.1');
    for (const socket of [client, upstream]) socket.on('error', () => undefined); // the cut
    upstream.pipe(client);
    client.on('data', (bytes) => {
      upstream.write(bytes.subarray(0, this.leftBytes));
      this.leftBytes -= bytes.length;
      if (this.leftBytes > 0) return;
      upstream.end();
      upstream.on('close', this.onCut);
      client.destroy();
    });
    client.on('close', () => upstream.end());
  }
}
