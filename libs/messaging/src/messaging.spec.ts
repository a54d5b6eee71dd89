import { type AddressInfo, connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { type RabbitmqServer, startRabbitmq } from '#testing';
import {
  ackAll,
  type ConsumeOptions,
  connectMessaging,
  DEAD_QUEUE,
  type Delivery,
  EXCHANGES,
  type Messaging,
  type OutgoingMessage,
  PublishError,
} from './index.js';

const quiet = { info() {}, warn() {}, error() {} };

let rabbitmq: RabbitmqServer | undefined;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  rabbitmq = await startRabbitmq();
}, 120_000);

afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
  if (rabbitmq) await emptied(rabbitmq.url);
});

afterAll(async () => {
  await rabbitmq?.stop();
});

/** A promise about a real broker; passes at once where none is installed, which one line said. */
function onRabbitmq(promise: string, story: (url: string) => Promise<void>): void {
  it(promise, async () => {
    if (rabbitmq) await story(rabbitmq.url);
  });
}

describe('publishing', () => {
  onRabbitmq('answers confirmed when a queue took the message and unroutable when none did', async (url) => {
    const messaging = await connected(url);
    expect(await messaging.publish(mail('1'))).toBe('confirmed');
    expect(await messaging.publish({ ...mail('2'), routingKey: 'pigeon' })).toBe('unroutable');
    expect(await messaging.publish({ ...mail('3'), routingKey: 'pigeon', mandatory: false })).toBe('confirmed');
  });

  onRabbitmq('answers a batch in its order', async (url) => {
    const messaging = await connected(url);
    const batch = Array.from({ length: 1_500 }, (_, index) => ({
      ...mail('same id'),
      routingKey: index % 3 === 0 ? 'pigeon' : 'email',
    }));
    const answers = await messaging.publisher().publishAll(batch);
    expect(answers).toEqual(batch.map(({ routingKey }) => (routingKey === 'email' ? 'confirmed' : 'unroutable')));
    expect(await messaging.queueDepth('notify.email')).toBe(1_000);
  });

  onRabbitmq(
    'rejects with disconnected when the connection is lost before the confirm, and works again after',
    async (url) => {
      const proxy = await cuttable(url);
      const messaging = await connected(proxy.url);
      const lost = new Promise((resolve) => messaging.once('disconnected', resolve));
      proxy.holdAnswers();
      const publishing = messaging.publish(mail('1')).catch((error) => error);
      proxy.cut();
      const error = await publishing;
      expect(error).toBeInstanceOf(PublishError);
      expect(error).toMatchObject({ kind: 'disconnected', maybeStored: true });

      await lost;
      await expect(messaging.publish(mail('2'))).rejects.toMatchObject({ kind: 'disconnected', maybeStored: false });
      await new Promise<void>((resolve) => messaging.once('connected', resolve));
      expect(await messaging.publish(mail('3'))).toBe('confirmed');
    },
  );

  onRabbitmq('rejects as overloaded instead of gathering without bound', async (url) => {
    const proxy = await cuttable(url);
    const messaging = await connected(proxy.url);
    proxy.holdAnswers();
    const publishing = Array.from({ length: 4_097 }, (_, index) => messaging.publish(mail(String(index))));
    const settled = Promise.allSettled(publishing);
    await expect(publishing.at(-1)).rejects.toMatchObject({ kind: 'overloaded' });
    proxy.cut();
    expect((await settled).filter(({ status }) => status === 'fulfilled')).toEqual([]);
  });
});

describe('consuming', () => {
  onRabbitmq('hands over batches and acks them together', async (url) => {
    const messaging = await connected(url);
    await messaging.publisher().publishAll(['1', '2', '3', '4', '5'].map(mail));
    const batches = await gathered(messaging, 5, { prefetch: 10, batchMax: 3, batchWaitMs: 20 }, ackAll);
    expect(batches.flat().map(idOf)).toEqual(['1', '2', '3', '4', '5']);
    expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(3);
    await messaging.close();
    expect(await depth(url, 'notify.email')).toBe(0);
  });

  onRabbitmq('shares a queue among several channels and consumers', async (url) => {
    const messaging = await connected(url);
    const options = { prefetch: 1, channels: 3, consumersPerChannel: 2, batchMax: 10, batchWaitMs: 20 };
    const first = gathered(messaging, 6, options);
    await messaging.publisher().publishAll(['1', '2', '3', '4', '5', '6', '7'].map(mail));
    const deliveries = (await first).flat();
    expect(deliveries.map(idOf).sort()).toEqual(['1', '2', '3', '4', '5', '6']);
    ackAll(deliveries);
  });

  onRabbitmq('gets a delivery again after handing it back', async (url) => {
    const messaging = await connected(url);
    await messaging.publish(mail('1'));
    const seen: boolean[] = [];
    await new Promise<void>((resolve) => {
      messaging.consume('notify.email', {
        prefetch: 1,
        onBatch: ([delivery]) => {
          seen.push(delivery!.redelivered);
          if (seen.length === 1) return delivery!.handBack();
          delivery!.ack();
          resolve();
        },
      });
    });
    expect(seen).toEqual([false, true]);
  });

  onRabbitmq('leaves the queue to others while paused', async (url) => {
    const messaging = await connected(url);
    const here: string[] = [];
    const subscription = messaging.connection('here').consume('notify.email', {
      prefetch: 10,
      onBatch: (batch) => {
        here.push(...batch.map(idOf));
        ackAll(batch);
      },
    });
    await subscription.pause();
    await messaging.publish(mail('1'));
    const [elsewhere] = await gathered(messaging, 1, { prefetch: 1 }, ackAll);
    expect(elsewhere!.map(idOf)).toEqual(['1']);
    expect(here).toEqual([]);
  });

  onRabbitmq('subscribes again after a lost connection and ignores acks of lost deliveries', async (url) => {
    const proxy = await cuttable(url);
    const messaging = await connected(proxy.url);
    await messaging.publish(mail('1'));
    const losses: Error[] = [];
    const deliveries: Delivery[] = [];
    await new Promise<void>((resolve) => {
      messaging.consume('notify.email', {
        prefetch: 1,
        onLost: (error) => losses.push(error),
        onBatch: ([delivery]) => {
          deliveries.push(delivery!);
          if (deliveries.length === 1) proxy.cut();
          else resolve();
        },
      });
    });
    const [lost, again] = deliveries;
    expect(lost!.isLost).toBe(true);
    lost!.ack();
    expect(again).toMatchObject({ redelivered: true, isLost: false });
    again!.ack();
    expect(losses).toHaveLength(1);
    await messaging.close();
    expect(await depth(url, 'notify.email')).toBe(0);
  });

  onRabbitmq('subscribes again when the broker cancels the consumer', async (url) => {
    const messaging = await connected(url);
    const admin = await administration(url);
    const received = new Promise<string>((resolve) => {
      let isFirst = true;
      messaging.consume('passing', {
        prefetch: 1,
        onBatch: (batch) => {
          ackAll(batch);
          resolve(idOf(batch[0]!));
        },
        onConsuming: async () => {
          if (isFirst) await admin.deleteQueue('passing');
          isFirst = false;
          await admin.assertQueue('passing', { durable: true });
          admin.sendToQueue('passing', Buffer.from('x'), { messageId: 'second life' });
        },
      });
    });
    await admin.assertQueue('passing', { durable: true });
    expect(await received).toBe('second life');
    await admin.deleteQueue('passing');
  });
});

describe('asking', () => {
  onRabbitmq('brings the answer to the one who asked', async (url) => {
    const messaging = await connected(url);
    messaging.consume('dispatch', {
      prefetch: 10,
      onBatch: async (batch) => {
        for (const delivery of batch) await messaging.reply(delivery, `${delivery.type} ${delivery.body}`);
        ackAll(batch);
      },
    });
    const ask = (body: string) =>
      messaging.request({ exchange: 'alerts', routingKey: 'alert', type: 'fence', body, timeoutMs: 30_000 });
    const answers = await Promise.all(['1', '2', '3'].map(ask));
    expect(answers.map((answer) => answer.result === 'answered' && answer.body.toString())).toEqual([
      'fence 1',
      'fence 2',
      'fence 3',
    ]);
  });

  onRabbitmq('answers timeout when nobody does, and not-sent when no queue takes it', async (url) => {
    const messaging = await connected(url);
    const request = { exchange: 'alerts', routingKey: 'alert', type: 'fence' };
    expect(await messaging.request({ ...request, timeoutMs: 100 })).toEqual({ result: 'timeout' });
    const toNobody = { ...request, routingKey: 'nobody', timeoutMs: 30_000 };
    expect(await messaging.request(toNobody)).toMatchObject({ result: 'not-sent' });
  });

  onRabbitmq('does not know the depth of a queue that is not there, and still knows the others', async (url) => {
    const messaging = await connected(url);
    expect(await messaging.queueDepth('nowhere')).toBeUndefined();
    await untilReady(async () => (await messaging.queueDepth(DEAD_QUEUE)) === 0);
  });
});

describe('topology', () => {
  onRabbitmq('brings a retry back to its notification channel with key and headers kept', async (url) => {
    const messaging = await connected(url);
    const headers = { level: '5s', attempt: 2 };
    await messaging.publish({ ...mail('1'), exchange: EXCHANGES.retry.name, headers });
    const [batch] = await gathered(messaging, 1, { prefetch: 1 }, ackAll);
    expect(batch![0]).toMatchObject({ routingKey: 'email', messageId: '1' });
    expect(batch![0]!.headers).toMatchObject({ attempt: 2 });
  });

  onRabbitmq('stops with one sentence when the broker holds another definition', async (url) => {
    const admin = await administration(url);
    await admin.deleteQueue(DEAD_QUEUE);
    await admin.assertQueue(DEAD_QUEUE, { durable: true });
    await expect(connectMessaging({ url, name: 'test', logger: quiet })).rejects.toThrow(
      /^the broker has queue 'dead' with other properties/,
    );
    await admin.deleteQueue(DEAD_QUEUE);
  });
});

describe('connecting', () => {
  it('gives up with one sentence when no node answers', async () => {
    const attempt = connectMessaging({
      url: 'amqp://127.0.0.1:1',
      name: 'test',
      logger: quiet,
      firstConnectionMs: 1_000,
    });
    await expect(attempt).rejects.toThrow(/^no broker at BROKER_URL after 1 s \(.*ECONNREFUSED/);
  });

  onRabbitmq('tries the nodes in turn', async (url) => {
    const messaging = await connected(`amqp://127.0.0.1:1,${url}`);
    expect(await messaging.publish(mail('1'))).toBe('confirmed');
  });
});

async function connected(url: string): Promise<Messaging> {
  const messaging = await connectMessaging({ url, name: 'test', logger: quiet });
  opened.push(messaging);
  return messaging;
}

async function untilReady(isReady: () => Promise<boolean>): Promise<void> {
  while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Resolves with the batches once `count` deliveries came. */
function gathered(
  messaging: Messaging,
  count: number,
  options: Omit<ConsumeOptions, 'onBatch'>,
  then: (batch: Delivery[]) => void = () => {},
): Promise<Delivery[][]> {
  const batches: Delivery[][] = [];
  return new Promise((resolve) => {
    messaging.consume('notify.email', {
      ...options,
      onBatch: (batch) => {
        batches.push(batch);
        then(batch);
        if (batches.flat().length >= count) resolve(batches);
      },
    });
  });
}

function mail(messageId: string): OutgoingMessage {
  return { exchange: EXCHANGES.notifications.name, routingKey: 'email', body: 'text', messageId };
}

function idOf(delivery: Delivery): string {
  return String(delivery.messageId);
}

async function administration(url: string) {
  const connection = await connect(url);
  opened.push({ close: () => connection.close() });
  return connection.createChannel();
}

async function depth(url: string, queue: string): Promise<number> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  const { messageCount } = await channel.checkQueue(queue);
  await connection.close();
  return messageCount;
}

async function emptied(url: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  for (const queue of ['notify.email', 'dispatch', 'dead']) await channel.purgeQueue(queue).catch(() => {});
  await connection.close();
}

/** A TCP proxy before the broker whose connections can be cut, and whose answers can be held back. */
async function cuttable(url: string) {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const towardsClient = new Set<Socket>();
  const server: Server = createServer((client) => {
    const broker = connectSocket(Number(target.port), target.hostname);
    for (const socket of [client, broker]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    towardsClient.add(broker);
    broker.on('close', () => {
      towardsClient.delete(broker);
      client.destroy();
    });
    client.on('close', () => broker.destroy());
    client.pipe(broker);
    broker.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  opened.push({
    close: () => {
      cut();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  });
  return {
    url: `amqp://guest:guest@127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    holdAnswers: () => {
      for (const broker of towardsClient) broker.unpipe();
    },
  };
}
