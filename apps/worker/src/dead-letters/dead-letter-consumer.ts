import type { ReviewStore } from '#dispatch';
import { ackAll, DEAD_QUEUE, type Delivery, type Messaging, type MessagingLogger, type Subscription } from '#messaging';
import type { DatabaseWatch } from '../database-watch.js';
import { deadLetterRow } from './dead-letter-row.js';

const PREFETCH = 200;
const BATCH_MAX = 100;
const BATCH_WAIT_MS = 20;
/** A dead letter that the database refuses is tried again after this; it is the only copy. */
const REFUSED_PAUSE_MS = 5_000;

export interface DeadLetterConsumerOptions {
  messaging: Messaging;
  review: Pick<ReviewStore, 'addDeadLetters'>;
  database: DatabaseWatch;
  logger: MessagingLogger;
}

/** Stores what arrives in queue `dead` as rows to review, and acks it after the commit. Stopped by the worker. */
export class DeadLetterConsumer {
  private subscription: Subscription | undefined;

  constructor(private readonly options: DeadLetterConsumerOptions) {}

  start(): void {
    this.subscription = this.options.messaging.connection('dead-letters').consume(DEAD_QUEUE, {
      prefetch: PREFETCH,
      batchMax: BATCH_MAX,
      batchWaitMs: BATCH_WAIT_MS,
      onBatch: (deliveries) => this.store(deliveries),
    });
  }

  async pause(): Promise<void> {
    await this.subscription?.pause();
  }

  async resume(): Promise<void> {
    await this.subscription?.resume();
  }

  async store(deliveries: Delivery[]): Promise<void> {
    const now = Date.now();
    try {
      await this.options.review.addDeadLetters(deliveries.map((delivery) => deadLetterRow(delivery, now)));
      ackAll(deliveries);
    } catch (error) {
      if ((await this.options.database.explain(error)) === 'away') return handBack(deliveries);
      // One of the batch may be at fault: the others must not suffer for it.
      if (deliveries.length > 1) for (const delivery of deliveries) await this.store([delivery]);
      else this.handBackLater(deliveries, error);
    }
  }

  private handBackLater(deliveries: Delivery[], error: unknown): void {
    this.options.logger.error({ error: (error as Error).message }, 'the database refuses a dead letter');
    setTimeout(() => handBack(deliveries), REFUSED_PAUSE_MS).unref();
  }
}

function handBack(deliveries: Delivery[]): void {
  for (const delivery of deliveries) delivery.handBack();
}
