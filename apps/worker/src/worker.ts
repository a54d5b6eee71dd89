import { randomUUID } from 'node:crypto';
import type { Settings } from '#config';
import {
  NOTIFICATION_CHANNELS,
  type NotificationChannel,
  type ReviewStore,
  type Sender,
  type TargetKind,
  type WorkerStore,
} from '#dispatch';
import { type Messaging, type MessagingLogger, notifyQueue, type Subscription } from '#messaging';
import type { Metrics } from '#telemetry';
import { AttemptRunner } from './attempts/attempt-runner.js';
import { DatabaseWatch } from './database-watch.js';
import { DeadLetterConsumer } from './dead-letters/dead-letter-consumer.js';

/** Deliveries claimed in one transaction, at most, and how long the first waits for company: not long, for under load they gather while the batch before is claimed. */
const CLAIM_BATCH_MAX = 100;
const CLAIM_GATHER_MS = 1;
// The way out: finish what is under way; at 8 s abort it; at 9 s leave the rest to the redelivery; gone before 10 s.
const ABORT_SENDS_MS = 8_000;
const GIVE_UP_MS = 9_000;

export interface WorkerParts {
  settings: Pick<Settings, 'configuration'>;
  store: WorkerStore;
  review: Pick<ReviewStore, 'addDeadLetters'>;
  /** `pingWrites` rejects when the database does not answer or takes no writes. */
  database: { pingWrites(): Promise<unknown> };
  messaging: Messaging;
  /** The configured ones; a channel without a sender dead-letters with reason `configuration`. */
  senders: ReadonlyMap<NotificationChannel, Sender>;
  targetKinds: ReadonlyMap<NotificationChannel, TargetKind>;
  secretKey: Uint8Array;
  logger: MessagingLogger;
  metrics: Pick<Metrics, 'add' | 'observe'>;
}

/**
 * Consumes every `notify.<channel>` on a connection of its own, and queue `dead`. Owns its subscriptions; messaging,
 * senders and database are closed by who made them.
 */
export class Worker {
  private readonly database: DatabaseWatch;
  private readonly runner: AttemptRunner;
  private readonly deadLetters: DeadLetterConsumer;
  private subscriptions: Subscription[] = [];

  constructor(private readonly parts: WorkerParts) {
    const { database, store, messaging, senders, targetKinds, secretKey, logger, metrics, review } = parts;
    this.database = new DatabaseWatch({ ping: () => database.pingWrites(), logger });
    this.runner = new AttemptRunner({
      ...{ store, senders, targetKinds, secretKey, logger, metrics },
      database: this.database,
      publish: (message) => messaging.publish(message),
      timeoutMs: (channel) => timeoutOf(parts.settings, channel),
      claimedBy: randomUUID(),
    });
    this.deadLetters = new DeadLetterConsumer({ messaging, review, database: this.database, logger });
    this.database.onChange({ away: () => void this.pause(), back: () => void this.resume() });
  }

  start(): void {
    const { channels, consumersPerChannel, prefetch } = this.parts.settings.configuration.worker;
    this.subscriptions = NOTIFICATION_CHANNELS.map((channel) =>
      this.parts.messaging.connection(`notify-${channel}`).consume(notifyQueue(channel), {
        ...{ channels, consumersPerChannel, prefetch },
        batchMax: CLAIM_BATCH_MAX,
        batchWaitMs: CLAIM_GATHER_MS,
        onBatch: (deliveries) => this.runner.take(channel, deliveries),
      }),
    );
    this.deadLetters.start();
  }

  /** Stops taking, finishes or hands back what is in flight; done within 10 s. */
  async stop(): Promise<void> {
    const startedAt = Date.now();
    this.database.stop();
    this.runner.hurry(startedAt + GIVE_UP_MS);
    const abort = setTimeout(() => this.runner.abortSends(), ABORT_SENDS_MS);
    const giveUp = new Promise((resolve) => setTimeout(resolve, GIVE_UP_MS).unref());
    await Promise.race([this.pause().then(() => this.runner.whenIdle()), giveUp]);
    clearTimeout(abort);
    this.runner.handBackAll();
  }

  private async pause(): Promise<void> {
    await Promise.all([...this.subscriptions.map((subscription) => subscription.pause()), this.deadLetters.pause()]);
  }

  private async resume(): Promise<void> {
    await Promise.all([...this.subscriptions.map((subscription) => subscription.resume()), this.deadLetters.resume()]);
  }
}

function timeoutOf(settings: WorkerParts['settings'], channel: NotificationChannel): number | undefined {
  const sender = settings.configuration.senders[channel];
  const timeoutMs = (sender as { timeoutMs?: unknown } | undefined)?.timeoutMs;
  return typeof timeoutMs === 'number' ? timeoutMs : undefined;
}
