import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChannelModel, type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';
import { closeAmqp, newFolder, removeFolder, type Service, startService, waitFor } from '#testing';
import { reportFigures } from './report.js';
import { canMount, SmallDisk } from './small-disk.js';

const QUEUE = 'full';
const WAIT_MS_MAX = 60_000;
/** The broker's reserve and one segment that never ends: so acknowledgements alone give no space back. */
const DISK_MEGABYTES = 160;
const RESERVE_BYTES = 32 * 1024 * 1024;
const EARLY_MESSAGES = 200;
const LATE_MESSAGES = 40;
/** More than a connection's buffers and the broker's reserve take. */
const LATE_BYTES = 1_000_000;
/** Publishers wait for the full disk itself, not for the margin that is kept before it. */
const CONFIGURATION = 'broker: { diskFreeLimit: 0MB }\n';

const whereMounted = canMount() ? describe : describe.skip;

whereMounted('a real broker on a real disk that is full', () => {
  let disk: SmallDisk;
  let folder: string;
  let broker: Service;
  let publisher: ConfirmChannel;
  const models: ChannelModel[] = [];
  const told: string[] = [];
  const published = new Set<string>();
  const confirmed = new Set<string>();
  const acknowledged = new Set<string>();
  let deliveries = 0;

  beforeEach(async () => {
    for (const set of [published, confirmed, acknowledged]) set.clear();
    told.length = 0;
    deliveries = 0;
    folder = await newFolder();
    disk = await SmallDisk.make(DISK_MEGABYTES);
    await start();
    publisher = await openChannel((model) => {
      model.on('blocked', () => told.push('blocked'));
      model.on('unblocked', () => told.push('unblocked'));
    });
    await publisher.assertQueue(QUEUE, { durable: true });
    await until('the reserve', async () => (await reserveBytes()) === RESERVE_BYTES);
    await Promise.all(Array.from({ length: EARLY_MESSAGES }, (_, index) => publish(`early-${index}`, 10_000)));
  });
  afterEach(async () => {
    await Promise.allSettled(models.splice(0).map(closeAmqp));
    await broker.kill();
    await disk.close();
    await removeFolder(folder);
  });

  it('blocks publishers, serves consumers, goes on when there is room, and keeps every promise over a kill', async () => {
    let isEnded = false;
    void broker.ended.then(() => {
      isEnded = true;
    });
    const publishing = await publishUntilFull();
    const confirmedBefore = confirmed.size;
    expect(confirmedBefore).toBeLessThan(published.size);

    const consumer = await openChannel();
    await consumer.prefetch(10);
    const { consumerTag } = await consumer.consume(QUEUE, (message) => acknowledge(consumer, message));
    await until('deliveries while it is full', () => acknowledged.size >= EARLY_MESSAGES);
    expect(await disk.freeBytes()).toBe(0);
    expect(told).toEqual(['blocked']);
    expect(confirmed.size).toBe(confirmedBefore);
    await consumer.cancel(consumerTag);

    await disk.makeRoom();
    await Promise.all(publishing);
    expect(confirmed.size).toBe(published.size);
    await until('connection.unblocked', () => told.at(-1) === 'unblocked');
    // Behind all acknowledgements of this channel: once this is confirmed, they are on disk too.
    await publish('behind the acknowledgements', 10, consumer);
    await publish('after', 10);
    expect(isEnded).toBe(false);

    report('full, then room again', await idsAfterKill());
  });

  it('has confirmed nothing that it does not hold, when it is killed while full', async () => {
    await publishUntilFull();
    await broker.kill();
    await disk.makeRoom();
    report('killed while full', await idsAfterKill());
  });

  /** Resolves once nothing more can be written; the publishes go on waiting. */
  async function publishUntilFull(): Promise<Promise<void>[]> {
    await disk.fill();
    const publishing = Array.from({ length: LATE_MESSAGES }, (_, index) => publish(`late-${index}`, LATE_BYTES));
    await until('connection.blocked', () => told.includes('blocked'));
    // The neighbour is faster than the broker's consumers: it takes the reserve that was given up.
    await until('the reserve to be given up', async () => (await reserveBytes()) === 0);
    let before: number;
    do {
      before = confirmed.size;
      await disk.fill();
      await consumerRoundTrip();
    } while (confirmed.size > before || (await disk.freeBytes()) > 0);
    return publishing;
  }

  /** What was confirmed by now has been heard of: an answer to a connection that is not blocked. */
  async function consumerRoundTrip(): Promise<void> {
    const channel = await openChannel();
    await channel.checkQueue(QUEUE);
    await channel.close();
  }

  async function start(): Promise<void> {
    broker = await startService({
      app: 'broker',
      folder,
      configuration: CONFIGURATION,
      environment: { TOCSIN_DATA_DIR: join(disk.folder, 'data') },
    });
  }

  async function openChannel(watch: (model: ChannelModel) => void = () => undefined): Promise<ConfirmChannel> {
    const model = await connect(broker.amqp);
    model.on('error', () => undefined); // the broker is killed in the end
    watch(model);
    models.push(model);
    const channel = await model.createConfirmChannel();
    channel.on('error', () => undefined);
    return channel;
  }

  function publish(id: string, bytes: number, channel = publisher): Promise<void> {
    published.add(id);
    return new Promise((resolve) => {
      const body = Buffer.alloc(bytes, id);
      channel.sendToQueue(QUEUE, body, { persistent: true, messageId: id }, (error) => {
        if (error === null) confirmed.add(id);
        resolve();
      });
    });
  }

  function acknowledge(channel: ConfirmChannel, message: ConsumeMessage | null): void {
    if (message === null) return;
    deliveries += 1;
    acknowledged.add(String(message.properties.messageId));
    channel.ack(message);
  }

  function reserveBytes(): Promise<number> {
    return disk.sizeOf('data', 'broker', 'reserve');
  }

  async function idsAfterKill(): Promise<string[]> {
    await broker.kill();
    await Promise.allSettled(models.splice(0).map(closeAmqp));
    await start();
    const channel = await openChannel();
    const ids: string[] = [];
    for (let message = await channel.get(QUEUE); message !== false; message = await channel.get(QUEUE)) {
      const id = String(message.properties.messageId);
      // Each body is its id over and over: nothing was cut short.
      expect(message.content.equals(Buffer.alloc(message.content.length, id))).toBe(true);
      ids.push(id);
      channel.ack(message);
    }
    return ids;
  }

  function report(scenario: string, there: readonly string[]): void {
    const held = new Set(there);
    const lost = [...confirmed].filter((id) => !held.has(id) && !acknowledged.has(id));
    const resurrected = there.filter((id) => acknowledged.has(id));
    reportFigures({
      scenario: `real disk: ${scenario}`,
      seed: undefined,
      rounds: 1,
      confirmed: confirmed.size,
      delivered: acknowledged.size + held.size,
      lost: lost.length,
      duplicated: deliveries - acknowledged.size + there.length - held.size,
      resurrected: resurrected.length,
    });
    expect(lost).toEqual([]);
    expect(resurrected).toEqual([]);
  }

  function until(what: string, condition: () => boolean | Promise<boolean>): Promise<unknown> {
    return waitFor(condition, { timeoutMs: WAIT_MS_MAX, what });
  }
});
