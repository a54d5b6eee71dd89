import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type ClaimAnswer,
  type ClaimRequest,
  type Envelope,
  type NewDeadLetter,
  type Sender,
  type Settlement,
  type WorkerStore,
} from '#dispatch';
import { connectMessaging, EXCHANGES, type Messaging, notifyQueue } from '#messaging';
import { createSenders, targetKinds } from '#senders';
import { Metrics } from '#telemetry';
import { type RabbitmqServer, type SmtpSimulator, startRabbitmq, startSmtpServer, waitFor } from '#testing';
import { Worker, type WorkerParts } from './worker.js';

const quiet = { info() {}, warn() {}, error() {} };
const LONG_MS = 60_000;
/** Of the 10 s that a stop may take the process needs some for the rest. */
const STOP_MS_MAX = 9_500;

let rabbitmq: RabbitmqServer | undefined;
let smtp: SmtpSimulator;
let story: Story;

beforeAll(async () => {
  rabbitmq = await startRabbitmq();
}, 120_000);

beforeEach(async () => {
  smtp = await startSmtpServer();
  story = new Story();
});

afterEach(async () => {
  await story.end();
  await smtp.stop();
});

afterAll(async () => {
  await rabbitmq?.stop();
});

/** A promise about a real broker; passes at once where none is installed, which one line said. */
function onRabbitmq(promise: string, tell: (url: string) => Promise<void>): void {
  it(promise, async () => {
    if (rabbitmq) await tell(rabbitmq.url);
  }, 180_000);
}

describe('worker', () => {
  onRabbitmq('sends each notification once and empties its queue', async (url) => {
    const worker = await story.startWorker(url);
    await story.accept(url, 200);
    await smtp.waitForNotifications(200, LONG_MS);
    expect(smtp.duplicates()).toEqual({ byMessageId: 0, byNotification: 0 });
    await worker.stop();
    expect(story.store.outcomes()).toEqual({ accepted: 200 });
    expect(await story.depth(url, notifyQueue('email'))).toBe(0);
  });

  onRabbitmq('consumes with as many channels and consumers as configured', async (url) => {
    await story.startWorker(url);
    await waitFor(async () => (await story.consumers(url, notifyQueue('email'))) === 4, {
      timeoutMs: LONG_MS,
      what: '4 consumers',
    });
  });

  onRabbitmq('puts a refused mail before the reviewers, with reason and attempts', async (url) => {
    smtp.answerNext(550, 'no such user');
    await story.startWorker(url);
    await story.accept(url, 1);
    const [letter] = await story.untilDeadLetters(1);
    expect(letter).toMatchObject({ reason: 'recipient', attempts: 1, channel: 'email', notificationId: 'n-0' });
    expect(letter?.detail).toContain('no such user');
  });

  onRabbitmq('puts what it cannot read before the reviewers, as it came', async (url) => {
    await story.startWorker(url);
    const messaging = await story.connect(url);
    await messaging.publish({ exchange: EXCHANGES.notifications.name, routingKey: 'email', body: 'not json' });
    const [letter] = await story.untilDeadLetters(1);
    expect(letter).toMatchObject({ reason: 'unparseable', payload: Buffer.from('not json').toString('base64') });
    expect(letter?.detail).toContain('notify.email');
  });

  onRabbitmq('takes nothing while the database is away, and goes on when it answers', async (url) => {
    const worker = await story.startWorker(url);
    story.store.isAway = true;
    await story.accept(url, 20);
    await waitFor(async () => (await story.depth(url, notifyQueue('email'))) === 20, {
      timeoutMs: LONG_MS,
      what: '20 notifications back in the queue',
    });
    expect(smtp.mails).toHaveLength(0);

    story.store.isAway = false;
    await smtp.waitForNotifications(20, LONG_MS);
    expect(smtp.duplicates().byNotification).toBe(0);
    await worker.stop();
  });

  onRabbitmq('goes on with what a stopped worker left, and nobody is told twice', async (url) => {
    const first = await story.startWorker(url);
    await story.accept(url, 300);
    await smtp.waitForNotifications(30, LONG_MS);
    await first.stop();
    // What it handed back is in the queue once the disk has it.
    await waitFor(async () => Number(await story.depth(url, notifyQueue('email'))) + smtp.mails.length === 300, {
      timeoutMs: LONG_MS,
      what: 'the notifications that were not sent, back in the queue',
    });

    await story.startWorker(url);
    await smtp.waitForNotifications(300, LONG_MS);
    expect(smtp.duplicates().byNotification).toBe(0);
  });

  onRabbitmq('aborts a send that hangs at shutdown and leaves it to the ladder', async (url) => {
    const worker = await story.startWorker(url, { sender: neverAnswers() });
    await story.accept(url, 1);
    await waitFor(() => story.store.claims.size === 1, { timeoutMs: LONG_MS, what: 'a claim' });
    // Timers of one process fire in their order, however slow the machine is.
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
    }, STOP_MS_MAX);
    await worker.stop();
    clearTimeout(late);
    expect(isLate).toBe(false);
    expect(story.store.outcomes()).toEqual({ retryable: 1 });
    expect(await story.depth(url, notifyQueue('email'))).toBe(0);
  });
});

function neverAnswers(): Sender {
  return {
    channel: 'email',
    send: (_request, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ outcome: 'retryable', reason: 'aborted' }));
      }),
    close: async () => {},
  };
}

/** What one test starts, and ends again. */
class Story {
  readonly store = new MemoryStore();
  private readonly ends: (() => Promise<void>)[] = [];
  private admin: Promise<Messaging> | undefined;

  async startWorker(url: string, { sender }: { sender?: Sender } = {}): Promise<Worker> {
    const messaging = await connectMessaging({ url, name: 'worker', logger: quiet });
    const senders = createSenders({ email: { url: smtp.url, from: 'tocsin@example.com', timeoutMs: 60_000 } });
    if (sender) senders.set('email', sender);
    const configuration = { senders: {}, worker: { channels: 2, consumersPerChannel: 2, prefetch: 10 } };
    const worker = new Worker({
      settings: { configuration } as WorkerParts['settings'],
      ...{ messaging, senders, targetKinds, logger: quiet, secretKey: Buffer.alloc(32) },
      store: this.store,
      review: this.store,
      database: this.store,
      metrics: new Metrics({ withProcess: false }),
    });
    worker.start();
    this.ends.push(async () => {
      await worker.stop();
      await messaging.close();
      for (const open of senders.values()) await open.close();
    });
    return worker;
  }

  connect(url: string): Promise<Messaging> {
    this.admin ??= connectMessaging({ url, name: 'test', logger: quiet });
    return this.admin;
  }

  async accept(url: string, count: number): Promise<void> {
    const messaging = await this.connect(url);
    const messages = Array.from({ length: count }, (_, index) => ({
      exchange: EXCHANGES.notifications.name,
      routingKey: 'email',
      headers: { attempt: 1 },
      body: JSON.stringify(mailTo(`n-${index}`)),
    }));
    await messaging.publisher().publishAll(messages);
  }

  async depth(url: string, queue: string): Promise<number | undefined> {
    return (await this.connect(url)).queueDepth(queue);
  }

  async consumers(url: string, queue: string): Promise<number | undefined> {
    return (await this.connect(url)).consumerCount(queue);
  }

  async untilDeadLetters(count: number): Promise<NewDeadLetter[]> {
    const { deadLetters } = this.store;
    await waitFor(() => deadLetters.length >= count, { timeoutMs: LONG_MS, what: 'dead letters' });
    return deadLetters;
  }

  async end(): Promise<void> {
    for (const end of this.ends) await end();
    const messaging = await this.admin;
    await messaging?.close();
  }
}

function mailTo(id: string): Envelope {
  return {
    version: 1,
    id,
    channel: 'email',
    target: { to: 'ops@example.com' },
    targetKey: 'email:ops@example.com',
    severity: 'warning',
    createdAt: new Date().toISOString(),
    content: { kind: 'text', subject: id, text: 'disk full' },
  };
}

/** Claims, outcomes and dead letters in memory; `isAway` makes every call fail. */
class MemoryStore implements WorkerStore {
  readonly claims = new Map<string, Settlement | undefined>();
  readonly deadLetters: NewDeadLetter[] = [];
  isAway = false;

  async pingWrites(): Promise<void> {
    if (this.isAway) throw new Error('away');
  }

  async claim(requests: readonly ClaimRequest[]): Promise<ClaimAnswer[]> {
    await this.pingWrites();
    return requests.map(({ envelope, attempt }) => {
      const key = `${envelope.id}/${attempt}`;
      const settlement = this.claims.get(key);
      if (settlement) return { claim: 'settled', followUp: settlement.followUp };

      const mayRepeat = this.claims.has(key);
      this.claims.set(key, undefined);
      return { claim: 'granted', mayRepeat, isResumed: mayRepeat, failures: 0 };
    });
  }

  async settle(settlements: readonly Settlement[]): Promise<void> {
    await this.pingWrites();
    for (const settlement of settlements) this.claims.set(`${settlement.id}/${settlement.attempt}`, settlement);
  }

  async addDeadLetters(letters: readonly NewDeadLetter[]): Promise<void> {
    await this.pingWrites();
    const known = new Set(this.deadLetters.map(({ id }) => id));
    this.deadLetters.push(...letters.filter(({ id }) => !known.has(id)));
  }

  outcomes(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const settlement of this.claims.values()) {
      const name = settlement?.outcome.outcome ?? 'open';
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }
}
