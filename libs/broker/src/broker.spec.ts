import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import amqp, { type ChannelModel, type ConsumeMessage } from 'amqplib';
import { Connection } from 'rabbitmq-client';
import { Broker, type Engine, openEngine, StaticUsers } from './index.js';

let directory: string;
let engine: Engine;
let broker: Broker;

async function start(): Promise<void> {
  engine = await openEngine({ directory });
  broker = new Broker({ port: 0, virtualHosts: engine, durability: engine.durability });
  await broker.listen();
}

async function stop(): Promise<void> {
  await broker.close();
  await engine.close();
}

function client(): Promise<ChannelModel> {
  return amqp.connect(`amqp://guest:guest@127.0.0.1:${broker.port}`);
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'broker-'));
  await start();
});

afterEach(async () => {
  await stop();
  await rm(directory, { recursive: true, force: true });
});

describe('the broker with amqplib', () => {
  it('keeps confirmed persistent messages over a restart, in order, and drops transient ones', async () => {
    const first = await client();
    const channel = await first.createConfirmChannel();
    await channel.assertQueue('kept', { durable: true });
    for (let number = 0; number < 200; number++) {
      channel.sendToQueue('kept', Buffer.from(String(number)), { persistent: true, headers: { number } });
    }
    channel.sendToQueue('kept', Buffer.from('transient'));
    await channel.waitForConfirms();
    await first.close();
    await stop();
    await start();

    const second = await client();
    const reader = await second.createChannel();
    const bodies: string[] = [];
    for (;;) {
      const message = await reader.get('kept', { noAck: true });
      if (message === false) break;
      expect(message.properties.headers).toEqual({ number: bodies.length });
      bodies.push(message.content.toString());
    }
    expect(bodies).toEqual(Array.from({ length: 200 }, (_, number) => String(number)));
    await second.close();
  });

  it('carries large bodies, and many messages both ways under a prefetch', async () => {
    const connection = await client();
    const channel = await connection.createConfirmChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const large = Buffer.alloc(1_000_000, 'large');
    channel.sendToQueue(queue, large);
    const got = await channel.get(queue, { noAck: true });
    expect(got !== false && got.content.equals(large)).toBe(true);

    await channel.prefetch(20);
    const count = 3000;
    const seen: number[] = [];
    const consumed = new Promise<void>((resolve) => {
      void channel.consume(queue, (message) => {
        seen.push(Number(message!.content.toString()));
        channel.ack(message!);
        if (seen.length === count) resolve();
      });
    });
    for (let number = 0; number < count; number++) channel.sendToQueue(queue, Buffer.from(String(number)));
    await channel.waitForConfirms();
    await consumed;
    expect(seen).toEqual(Array.from({ length: count }, (_, number) => number));
    await connection.close();
  });

  it('dead-letters what is rejected to the exchange the queue names', async () => {
    const connection = await client();
    const channel = await connection.createConfirmChannel();
    await channel.assertExchange('dead', 'fanout');
    await channel.assertQueue('dead');
    await channel.bindQueue('dead', 'dead', '');
    await channel.assertQueue('work', { deadLetterExchange: 'dead' });
    const dead = new Promise<ConsumeMessage>((resolve) => void channel.consume('dead', (message) => resolve(message!)));
    await channel.consume('work', (message) => channel.nack(message!, false, false));
    channel.sendToQueue('work', Buffer.from('bad'), { persistent: true });
    const { properties, content } = await dead;
    expect(content.toString()).toBe('bad');
    expect(properties.headers?.['x-death']).toMatchObject([{ queue: 'work', reason: 'rejected', count: 1 }]);
    await connection.close();
  });

  it('says at a shutdown that it was forced', async () => {
    const connection = await client();
    const closed = once(connection, 'close');
    await broker.close();
    const [error] = await closed;
    expect(String(error)).toContain("CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'");
    expect(broker.stats().connectionCount).toBe(0);
  });
});

describe('the broker with rabbitmq-client', () => {
  it('serves a quorum queue, redelivers what failed, and answers RPC by direct reply-to', async () => {
    const rabbit = new Connection(`amqp://guest:guest@127.0.0.1:${broker.port}`);
    let failures = 0;
    const all = new Set<number>();
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const consumer = rabbit.createConsumer(
      {
        queue: 'jobs',
        queueOptions: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
        qos: { prefetchCount: 10 },
      },
      async ({ body, redelivered }) => {
        if (body.number % 10 === 0 && !redelivered) {
          failures++;
          return 1;
        }
        if (all.add(body.number).size === 100) finish();
        return 0;
      },
    );
    await once(consumer, 'ready');
    const publisher = rabbit.createPublisher({ confirm: true });
    await Promise.all(
      Array.from({ length: 100 }, (_, number) => publisher.send({ routingKey: 'jobs', durable: true }, { number })),
    );
    await finished;
    expect(failures).toBe(10);

    const server = rabbit.createConsumer({ queue: 'rpc' }, async ({ body }, reply) => reply(`pong ${body}`));
    await once(server, 'ready');
    const rpc = rabbit.createRPCClient({ confirm: true });
    expect((await rpc.send('rpc', 'ping')).body).toBe('pong ping');
    for (const part of [rpc, server, consumer, publisher, rabbit]) await part.close();
  });
});

describe('the listening socket', () => {
  it('says which port is taken', async () => {
    const second = new Broker({
      port: broker.port,
      virtualHosts: engine,
      durability: engine.durability,
      users: new StaticUsers({}),
    });
    await expect(second.listen()).rejects.toMatchObject({ code: 'EADDRINUSE', port: broker.port });
    await second.close();
  });

  it('cuts connections beyond the bound', async () => {
    const narrow = new Broker({
      port: 0,
      connectionsMax: 1,
      virtualHosts: engine,
      durability: engine.durability,
    });
    await narrow.listen();
    const first = connect(narrow.port, '127.0.0.1');
    await once(first, 'connect');
    const second = connect(narrow.port, '127.0.0.1');
    second.on('error', () => {});
    await once(second, 'close');
    expect(first.destroyed).toBe(false);
    await narrow.close();
  });
});
