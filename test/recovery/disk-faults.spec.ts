import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { closeAmqp, newFolder, removeFolder, type Service, startService, waitFor } from '#testing';
import { type DiskFault, DiskShim, type DiskStep, hasCompiler } from './disk-shim.js';
import { reportFigures } from './report.js';

const QUEUE = 'faults';
const GUEST = `Basic ${Buffer.from('guest:guest').toString('base64')}`;
const WAIT_MS_MAX = 30_000;
/** Together they pass the end of a segment, so that a new one is made, a footer and a snapshot written, and an old file removed. */
const LARGE_BODY_BYTES = 1_000_000;
const LARGE_MESSAGES = 90;
/** Of the file that the broker keeps for acknowledgements on a full disk. */
const RESERVE_BYTES = 32 * 1024 * 1024;
/** Past the end of two segments: a file is made one segment ahead. */
const MORE_LARGE_MESSAGES = 150;

const whereCompiled = hasCompiler() ? describe : describe.skip;

/** One broker on a disk that fails on command, one publisher, one consumer, and what was promised to them. */
class Stage {
  readonly confirmed = new Set<string>();
  readonly refused = new Set<string>();
  readonly delivered = new Set<string>();
  readonly blocked: string[] = [];
  broker!: Service;
  shim!: DiskShim;
  duplicates = 0;
  private readonly models: ChannelModel[] = [];
  private publisher!: ConfirmChannel;

  private constructor(readonly folder: string) {}

  static async open(): Promise<Stage> {
    const stage = new Stage(await newFolder());
    stage.shim = await DiskShim.make(stage.folder);
    await stage.start();
    return stage;
  }

  async start(): Promise<void> {
    this.broker = await startService({ app: 'broker', folder: this.folder, environment: this.shim.environment() });
    this.publisher = await this.openChannel((model) => {
      model.on('blocked', (reason: string) => this.blocked.push(reason));
      model.on('unblocked', () => this.blocked.push('unblocked'));
    });
    await this.publisher.assertQueue(QUEUE, { durable: true });
    await this.publish('begin', 10);
  }

  async openChannel(watch: (model: ChannelModel) => void = () => undefined): Promise<ConfirmChannel> {
    const model = await connect(this.broker.amqp);
    model.on('error', () => undefined); // the broker may end: that is what some of these stories are about
    watch(model);
    this.models.push(model);
    const channel = await model.createConfirmChannel();
    channel.on('error', () => undefined);
    return channel;
  }

  /** The reserve is written beside everything else after a start: until it is there, a fault may hit its writes too. */
  untilReserved(): Promise<unknown> {
    const path = join(this.folder, 'data', 'broker', 'reserve');
    const isWhole = async () => (await stat(path).catch(() => undefined))?.size === RESERVE_BYTES;
    return waitFor(isWhole, { timeoutMs: WAIT_MS_MAX, what: 'the reserve' });
  }

  /** Resolves when each was answered. */
  publish(id: string, bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.publisher.sendToQueue(QUEUE, Buffer.alloc(bytes, id), { persistent: true, messageId: id }, (error) => {
        if (error === null) this.confirmed.add(id);
        else this.refused.add(id);
        resolve();
      });
    });
  }

  /** Takes and acknowledges all there is until stopped, on a connection of its own. */
  async consume(): Promise<void> {
    const channel = await this.openChannel();
    await channel.prefetch(20);
    await channel.consume(QUEUE, (message) => {
      if (message === null) return;
      const id = String(message.properties.messageId);
      if (this.delivered.has(id)) this.duplicates++;
      this.delivered.add(id);
      channel.ack(message);
    });
  }

  /** The broker has read every acknowledgement. */
  async untilAllAcknowledged(): Promise<void> {
    await waitFor(
      async () => {
        const page = await fetch(`${this.broker.management}/api/queues/%2F/${QUEUE}`, {
          headers: { authorization: GUEST },
        });
        return ((await page.json()) as { messages: number }).messages === 0;
      },
      { timeoutMs: WAIT_MS_MAX, what: 'the last acknowledgement' },
    );
  }

  /** What the disk holds after a kill: ids in the queue. */
  async idsAfterKill(): Promise<Set<string>> {
    await this.broker.kill();
    await this.shim.failNoMore();
    await Promise.allSettled(this.models.map(closeAmqp));
    this.broker = await startService({ app: 'broker', folder: this.folder });
    const channel = await this.openChannel();
    const ids = new Set<string>();
    for (let message = await channel.get(QUEUE); message !== false; message = await channel.get(QUEUE)) {
      ids.add(String(message.properties.messageId));
      channel.ack(message);
    }
    return ids;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.models.map(closeAmqp));
    await this.broker.kill();
    await this.shim.close();
    await removeFolder(this.folder);
  }
}

whereCompiled('a real broker on a disk that fails', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await Stage.open();
  });
  afterEach(() => stage.close());

  const sites: [site: string, step: DiskStep, fault: DiskFault, messages: number][] = [
    ['a write finds it full', 'write', 'ENOSPC', LARGE_MESSAGES],
    ['a write is cut short, then finds it full', 'write', 'short', LARGE_MESSAGES],
    ['the next segment finds no room for its file', 'create', 'ENOSPC', MORE_LARGE_MESSAGES],
  ];
  it.each(sites)(
    'blocks publishers, serves consumers and goes on when there is room: %s',
    async (site, step, fault, messages) => {
      await stage.shim.fail(step, fault);
      let answered = 0;
      const publishing = Array.from({ length: messages }, (_, index) =>
        stage.publish(`large-${index}`, LARGE_BODY_BYTES).then(() => {
          answered++;
        }),
      );
      await stage.shim.untilHit(step);
      // A publisher is told when it publishes, and the broker may have read all of these before the disk was full.
      const isBlocked = () => {
        if (stage.blocked.includes('low on disk')) return true;
        publishing.push(stage.publish(`more-${publishing.length}`, 10));
        return false;
      };
      await waitFor(isBlocked, { timeoutMs: WAIT_MS_MAX, what: 'connection.blocked' });
      expect(answered).toBeLessThan(messages);
      // Consumers are served and their acknowledgements taken, also those whose messages are nowhere but in memory.
      await stage.consume();
      await waitFor(() => stage.delivered.has('begin'), { timeoutMs: WAIT_MS_MAX, what: 'a delivery' });
      const whileFull = new Set(stage.confirmed);
      await stage.shim.untilHit(step, 3);

      await stage.shim.failNoMore();
      await Promise.all(publishing);
      expect(stage.refused.size).toBe(0);
      expect(stage.confirmed.size).toBeGreaterThan(whileFull.size);
      await waitFor(() => stage.blocked.at(-1) === 'unblocked', {
        timeoutMs: WAIT_MS_MAX,
        what: 'connection.unblocked',
      });
      await waitFor(() => stage.delivered.size === publishing.length + 1, {
        timeoutMs: WAIT_MS_MAX,
        what: 'all deliveries',
      });
      await stage.publish('end', 10);
      expect(stage.confirmed.has('end')).toBe(true);
      const there = await stage.idsAfterKill();
      const lost = [...stage.confirmed].filter((id) => !stage.delivered.has(id) && !there.has(id));
      report(site, stage, lost, 0);
      expect(lost).toEqual([]);
    },
  );

  it('confirms nothing falsely when it is killed while the disk is full', async () => {
    for (let index = 0; index < 20; index++) await stage.publish(`early-${index}`, 10_000);
    await stage.shim.fail('write', 'short');
    for (let index = 0; index < 40; index++) void stage.publish(`late-${index}`, LARGE_BODY_BYTES);
    await stage.shim.untilHit('write', 20);
    const there = await stage.idsAfterKill();
    const lost = [...stage.confirmed].filter((id) => !there.has(id));
    report('killed while full', stage, lost, 0);
    expect(lost).toEqual([]);
  });

  it('answers a change of users over the management API when it is on disk, not before', async () => {
    await stage.untilReserved();
    await stage.shim.fail('write', 'short');
    let isAnswered = false;
    const answering = fetch(`${stage.broker.management}/api/users/anna`, {
      method: 'PUT',
      headers: { authorization: GUEST },
      body: JSON.stringify({ password_hash: '', tags: 'management' }),
    }).finally(() => {
      isAnswered = true;
    });
    await stage.shim.untilHit('write', 3);
    expect(isAnswered).toBe(false);
    await stage.shim.failNoMore();
    expect((await answering).status).toBe(201);
    await stage.idsAfterKill();
    const page = await fetch(`${stage.broker.management}/api/users/anna`, { headers: { authorization: GUEST } });
    expect(await page.json()).toMatchObject({ name: 'anna', tags: ['management'] });
  });

  const finals: [what: string, step: DiskStep, fault: DiskFault][] = [
    ['fdatasync fails with EIO', 'sync', 'EIO'],
    ['fdatasync fails with ENOSPC', 'sync', 'ENOSPC'],
    ['a write fails with EIO', 'write', 'EIO'],
  ];
  it.each(finals)(
    'ends, having confirmed nothing behind it, and starts with all it confirmed: %s',
    async (what, step, fault) => {
      await stage.untilReserved();
      for (let index = 0; index < 20; index++) await stage.publish(`early-${index}`, 1_000);
      const { size } = stage.confirmed;
      await stage.shim.fail(step, fault);
      void stage.publish('late', 1_000);
      expect(await stage.broker.ended).toBe(1);
      expect(stage.confirmed.size).toBe(size);
      expect(await stage.shim.hits(step)).toBe(1);
      expect(stage.broker.output()).toContain("the broker's log failed");
      const there = await stage.idsAfterKill();
      const lost = [...stage.confirmed].filter((id) => !there.has(id));
      report(what, stage, lost, 0);
      expect(lost).toEqual([]);
    },
  );

  it('keeps a file that it cannot remove, and says so', async () => {
    await stage.shim.fail('unlink', 'EIO');
    const publishing = Array.from({ length: LARGE_MESSAGES }, (_, index) =>
      stage.publish(`large-${index}`, LARGE_BODY_BYTES),
    );
    await stage.consume();
    await Promise.all(publishing);
    await stage.shim.untilHit('unlink');
    await waitFor(() => stage.broker.output().includes('cannot be removed'), {
      timeoutMs: WAIT_MS_MAX,
      what: 'a line',
    });
    await waitFor(() => stage.delivered.size === LARGE_MESSAGES + 1, {
      timeoutMs: WAIT_MS_MAX,
      what: 'all deliveries',
    });
    const acknowledged = new Set(stage.delivered);
    await stage.untilAllAcknowledged();
    await stage.publish('end', 10);
    const there = await stage.idsAfterKill();
    // Its messages are dead, and stay so.
    const returned = [...there].filter((id) => acknowledged.has(id));
    report('a file cannot be removed', stage, [], returned.length);
    expect(returned).toEqual([]);
  });
});

function report(site: string, stage: Stage, lost: readonly string[], resurrected: number): void {
  reportFigures({
    scenario: `disk: ${site}`,
    seed: undefined,
    rounds: 1,
    confirmed: stage.confirmed.size,
    delivered: stage.delivered.size,
    lost: lost.length,
    duplicated: stage.duplicates,
    resurrected,
  });
}
