import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { connectMessaging, type Delivery, DISPATCH_QUEUE, type Messaging, notifyQueue } from '#messaging';
import { type RabbitmqServer, startRabbitmq } from '#testing';
import { BEARER, startTestApi, type TestApi } from './api.fixture.js';

const quiet = { info() {}, warn() {}, error() {} };

let rabbitmq: RabbitmqServer | undefined;
let messaging: Messaging | undefined;
let api: TestApi | undefined;

beforeAll(async () => {
  rabbitmq = await startRabbitmq();
  if (!rabbitmq) process.stderr.write('no rabbitmq-server here: the api is not tested on a real broker\n');
}, 120_000);
afterEach(async () => {
  await api?.app.close();
  await messaging?.close();
});
afterAll(() => rabbitmq?.stop());

/** A promise about a real broker; passes at once where none is installed, which one line said. */
function onRabbitmq(promise: string, story: (api: TestApi, messaging: Messaging) => Promise<void>): void {
  it(promise, async () => {
    if (!rabbitmq) return;
    messaging = await connectMessaging({ url: rabbitmq.url, name: 'api-spec', logger: quiet });
    api = await startTestApi({ messaging });
    await story(api, messaging);
  });
}

function post({ app }: TestApi, url: string, payload: unknown) {
  return app.inject({ method: 'POST', url, payload: payload as object, headers: BEARER });
}

/** The next message of a queue, acked. */
function arrival(on: Messaging, queue: string): Promise<Delivery> {
  return new Promise((resolve) => {
    on.consume(queue, {
      prefetch: 1,
      batchMax: 1,
      batchWaitMs: 0,
      onBatch: async ([delivery]) => {
        delivery!.ack();
        resolve(delivery!);
      },
    });
  });
}

describe('the api on RabbitMQ', () => {
  onRabbitmq('puts accepted alerts into queue dispatch before it answers', async (running, on) => {
    const answer = await post(running, '/api/v1/alerts', [{ labels: { alertname: '磁盘', host: 'a' } }]);
    expect(answer.statusCode).toBe(202);
    const { type, body } = await arrival(on, DISPATCH_QUEUE);
    expect(type).toBe('alerts');
    expect(JSON.parse(body.toString())).toMatchObject([{ labels: { alertname: '磁盘', host: 'a' } }]);
  });

  onRabbitmq('puts accepted notifications into the queue of their channel, as attempt 1', async (running, on) => {
    const mail = { channel: 'email', target: { to: 'ops@example.com' }, text: 'hello' };
    const answer = await post(running, '/api/v1/notifications', [mail]);
    expect(answer.statusCode).toBe(202);
    const { headers, body } = await arrival(on, notifyQueue('email'));
    expect(headers['attempt']).toBe(1);
    expect(JSON.parse(body.toString()).id).toBe(answer.json().notifications[0].id);
  });

  onRabbitmq('answers unroutable when somebody removed the queue', async (running, on) => {
    const { connect } = await import('amqplib');
    const connection = await connect(rabbitmq!.url);
    const channel = await connection.createChannel();
    await channel.unbindQueue(DISPATCH_QUEUE, 'alerts', 'alert');
    await connection.close();
    const answer = await post(running, '/api/v1/alerts', { labels: { a: 'b' } });
    expect([answer.statusCode, answer.json().type]).toEqual([500, 'urn:tocsin:unroutable']);
    expect(on.isConnected).toBe(true);
  });
});
