import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { encodeMethod } from '#amqp-codec';
import { removeFolder, type Service, startRabbitmq, startService } from '#testing';
import { openingBytes, publishBytes, RawClient } from './raw-client.js';

describe('a broker at large sizes', () => {
  let broker: Service;

  beforeAll(async () => {
    broker = await startService({ app: 'broker' });
  });
  afterAll(async () => {
    await broker.kill();
    await removeFolder(broker.folder);
  });

  it('serves 300 channels on one connection', async () => {
    const connection = await connect(broker.amqp);
    const channels = await Promise.all(Array.from({ length: 300 }, () => connection.createConfirmChannel()));
    const received = channels.map(async (channel, number) => {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      const body = new Promise<string>((resolve) => {
        void channel.consume(queue, (message) => resolve(message!.content.toString()), { noAck: true });
      });
      channel.sendToQueue(queue, Buffer.from(`for ${number}`));
      await channel.waitForConfirms();
      return body;
    });
    expect(await Promise.all(received)).toEqual(channels.map((_, number) => `for ${number}`));
    await connection.close();
  });

  it('serves 1,000 connections at once', async () => {
    const observer = await connect(broker.amqp);
    const channel = await observer.createChannel();
    await channel.assertQueue('thousand', { durable: true });
    const port = Number(new URL(broker.amqp).port);
    const clients = Array.from({ length: 1000 }, () => new RawClient(port));
    for (const client of clients) client.write(Buffer.concat([openingBytes(), encodeMethod(1, 'channel.open', {})]));
    for (const client of clients) await client.hears('channel.open-ok');
    const select = encodeMethod(1, 'confirm.select', { nowait: false });
    clients.forEach((client, number) => {
      client.write(Buffer.concat([select, publishBytes(1, 'thousand', Buffer.from(String(number)))]));
    });
    for (const client of clients) expect(await client.hears('basic.ack')).toBeDefined();
    expect((await channel.checkQueue('thousand')).messageCount).toBe(1000);
    for (const client of clients) client.end();
    await Promise.all(clients.map((client) => client.ended));
    await observer.close();
  });

  it('carries a message of 20 MB', async () => {
    const connection = await connect(broker.amqp);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('large', { durable: true });
    const body = randomBytes(20 * 1024 * 1024);
    channel.sendToQueue('large', body, { persistent: true });
    await channel.waitForConfirms();
    const message = await channel.get('large', { noAck: true });
    const received = message === false ? Buffer.alloc(0) : message.content;
    expect(received.equals(body)).toBe(true);
    await connection.close();
  });

  it('takes names and keys of any letters, up to 255 bytes', async () => {
    const connection = await connect(broker.amqp);
    const channel = await connection.createConfirmChannel();
    const names = ['очередь', '队列', 'naïve ☃ queue', '🐇🐇', 'a'.repeat(255), 'ü'.repeat(127)];
    await channel.assertExchange('обмен 🐇', 'topic', { durable: true });
    for (const name of names) {
      await channel.assertQueue(name, { durable: true });
      await channel.bindQueue(name, 'обмен 🐇', name);
      channel.publish('обмен 🐇', name, Buffer.from(name), { headers: { имя: name } });
      await channel.waitForConfirms();
      const message = await channel.get(name, { noAck: true });
      expect(message && [message.content.toString(), message.fields.routingKey, message.properties.headers]).toEqual([
        name,
        name,
        { имя: name },
      ]);
    }
    await connection.close();
  });
});

/** A publish whose key says it is 255 bytes long and is 256: a short string cannot say more. */
function keyOf256Bytes(): Buffer {
  const right = publishBytes(1, 'k'.repeat(255), Buffer.from('x'));
  const keyEnd = right.indexOf('k') + 255;
  const longer = Buffer.concat([right.subarray(0, keyEnd), Buffer.from('k'), right.subarray(keyEnd)]);
  longer.writeUInt32BE(longer.readUInt32BE(3) + 1, 3);
  return longer;
}

function oversizedFrame(): Buffer {
  const head = Buffer.of(3, 0, 1, 0, 0, 0, 0);
  head.writeUInt32BE(131_072 + 1, 3);
  return Buffer.concat([head, Buffer.alloc(131_072 + 1), Buffer.of(0xce)]);
}

const OPEN = Buffer.concat([openingBytes(), encodeMethod(1, 'channel.open', {})]);

const REFUSED: Record<string, { bytes: Buffer; code: number; text?: string }> = {
  'a routing key of 256 bytes': { bytes: Buffer.concat([OPEN, keyOf256Bytes()]), code: 501 },
  'an oversized frame': { bytes: Buffer.concat([OPEN, oversizedFrame()]), code: 501 },
  'a wrong password': {
    bytes: openingBytes({ password: 'wrong' }),
    code: 403,
    text: 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
  },
  'an unknown virtual host': {
    bytes: openingBytes({ virtualHost: 'nowhere' }),
    code: 530,
    text: 'NOT_ALLOWED - vhost nowhere not found',
  },
};

describe('what is refused', () => {
  it('gets the answer RabbitMQ gives', async () => {
    const broker = await startService({ app: 'broker' });
    const rabbitmq = await startRabbitmq();
    try {
      for (const [what, { bytes, code, text }] of Object.entries(REFUSED)) {
        for (const url of [broker.amqp, ...(rabbitmq ? [rabbitmq.url] : [])]) {
          const client = new RawClient(Number(new URL(url).port));
          client.write(bytes);
          await client.ended;
          const { replyCode, replyText } = client.closeArgs ?? {};
          expect([what, url, replyCode]).toEqual([what, url, code]);
          if (text !== undefined) expect(replyText).toBe(text);
        }
      }
    } finally {
      await rabbitmq?.stop();
      await broker.kill();
      await removeFolder(broker.folder);
    }
  });
});
