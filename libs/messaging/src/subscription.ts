import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { asError, type BrokerConnection } from './connection.js';
import { type ChannelDelivery, type Delivery, UnsettledDeliveries } from './delivery.js';
import { KeptChannel } from './kept-channel.js';
import type { MessagingLogger } from './logger.js';

/** A batch whose handler threw goes back to the queue after this pause, so that a bug does not spin. */
const HAND_BACK_AFTER_ERROR_MS = 1_000;

export interface ConsumeOptions {
  /** Unsettled deliveries per consumer. In flight at most: channels x consumersPerChannel x prefetch. */
  prefetch: number;
  /** AMQP channels; default 1. */
  channels?: number;
  /** Default 1. */
  consumersPerChannel?: number;
  /** Deliveries handed over at once, at most. Default 1. */
  batchMax?: number;
  /** How long the first delivery of a batch waits for company. Default 0: until the current read is through. */
  batchWaitMs?: number;
  /**
   * Called with one batch at a time: the next comes when the promise has resolved. Settling is up to the handler. When it
   * throws, what it left unsettled is handed back a second later.
   */
  onBatch(deliveries: Delivery[]): void | Promise<void>;
  /** An AMQP channel was lost: its unsettled deliveries will come again, here or elsewhere. Consuming goes on by itself. */
  onLost?(error: Error): void;
  /** All consumers are registered (again). */
  onConsuming?(): void;
}

/** Consumers of one queue, on channels of their own, registered again after every loss. Closed by its owner. */
export class Subscription {
  private readonly channels: ConsumerChannel[];
  private gathered: ChannelDelivery[] = [];
  private stopWaiting: (() => void) | undefined;
  private handing = false;
  private consuming = 0;

  constructor(
    readonly queue: string,
    connection: BrokerConnection,
    private readonly options: ConsumeOptions,
    private readonly logger: MessagingLogger,
  ) {
    const { channels = 1, consumersPerChannel = 1, prefetch } = options;
    this.channels = Array.from(
      { length: channels },
      () =>
        new ConsumerChannel(connection, {
          queue,
          prefetch,
          consumers: consumersPerChannel,
          logger,
          onDelivery: (delivery) => this.gather(delivery),
          onConsuming: () => this.noteConsuming(),
          onLost: (error) => this.noteLost(error),
        }),
    );
  }

  /** Cancels the consumers and hands back what was not yet given to `onBatch`. What was given stays with the handler. */
  async pause(): Promise<void> {
    await Promise.all(this.channels.map((channel) => channel.pause()));
    this.consuming = 0;
    this.handBackGathered();
  }

  async resume(): Promise<void> {
    await Promise.all(this.channels.map((channel) => channel.resume()));
  }

  /** Settle everything first: what is unsettled then goes back to the queue. */
  async close(): Promise<void> {
    await this.pause();
    await Promise.all(this.channels.map((channel) => channel.close()));
  }

  private gather(delivery: ChannelDelivery): void {
    this.gathered.push(delivery);
    if (this.handing) return;

    const { batchMax = 1, batchWaitMs = 0 } = this.options;
    if (this.gathered.length >= batchMax) this.hand();
    else this.stopWaiting ??= after(batchWaitMs, () => this.hand());
  }

  private hand(): void {
    this.stopWaiting?.();
    this.stopWaiting = undefined;
    const batch = this.gathered.splice(0, this.options.batchMax ?? 1).filter((delivery) => !delivery.isLost);
    if (batch.length === 0) return;

    this.handing = true;
    void this.handle(batch).then(() => {
      this.handing = false;
      // What came meanwhile has waited long enough.
      if (this.gathered.length > 0) this.hand();
    });
  }

  private async handle(batch: Delivery[]): Promise<void> {
    try {
      await this.options.onBatch(batch);
    } catch (error) {
      this.logger.error({ queue: this.queue, error: asError(error).stack }, 'a batch failed and is handed back');
      await new Promise((resolve) => setTimeout(resolve, HAND_BACK_AFTER_ERROR_MS).unref());
      for (const delivery of batch) delivery.handBack();
    }
  }

  private handBackGathered(): void {
    this.stopWaiting?.();
    this.stopWaiting = undefined;
    for (const delivery of this.gathered.splice(0)) delivery.handBack();
  }

  private noteConsuming(): void {
    this.consuming += 1;
    if (this.consuming === this.channels.length) this.options.onConsuming?.();
  }

  private noteLost(error: Error): void {
    this.consuming = Math.max(0, this.consuming - 1);
    this.gathered = this.gathered.filter((delivery) => !delivery.isLost);
    this.options.onLost?.(error);
  }
}

/** Calls back after `ms`, or at 0 when the current read is through; answers how to call it off. */
function after(ms: number, callback: () => void): () => void {
  if (ms > 0) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  }
  const immediate = setImmediate(callback);
  return () => clearImmediate(immediate);
}

interface ConsumerChannelOptions {
  queue: string;
  prefetch: number;
  consumers: number;
  logger: MessagingLogger;
  onDelivery(delivery: ChannelDelivery): void;
  onConsuming(): void;
  onLost(error: Error): void;
}

/** One AMQP channel with its consumers. */
class ConsumerChannel {
  private readonly channel: KeptChannel;
  private unsettled: UnsettledDeliveries | undefined;
  private tags: string[] = [];
  private isPaused = false;
  /** Consuming and cancelling happen one after the other. */
  private turn: Promise<void> = Promise.resolve();

  constructor(
    connection: BrokerConnection,
    private readonly options: ConsumerChannelOptions,
  ) {
    this.channel = new KeptChannel(connection, {
      logger: options.logger,
      purpose: `consumer of ${options.queue}`,
      opened: (channel) => this.opened(channel),
      lost: (error) => this.lost(error),
    });
  }

  pause(): Promise<void> {
    this.isPaused = true;
    return this.inTurn(async () => {
      const { current } = this.channel;
      const tags = this.tags.splice(0);
      if (current) await Promise.all(tags.map((tag) => current.cancel(tag)));
    });
  }

  resume(): Promise<void> {
    this.isPaused = false;
    return this.inTurn(async () => {
      const { current } = this.channel;
      if (current && this.tags.length === 0) await this.consume(current);
    });
  }

  close(): Promise<void> {
    return this.channel.close();
  }

  private async opened(channel: ConfirmChannel): Promise<void> {
    this.unsettled = new UnsettledDeliveries(channel);
    this.tags = [];
    await channel.prefetch(this.options.prefetch);
    await this.inTurn(() => this.consume(channel), 'rethrow');
  }

  private lost(error: Error): void {
    const { unsettled } = this;
    this.unsettled = undefined;
    this.tags = [];
    if (!unsettled) return;

    unsettled.lose();
    this.options.onLost(error);
  }

  private async consume(channel: ConfirmChannel): Promise<void> {
    const { unsettled } = this;
    if (this.isPaused || !unsettled) return;

    for (let count = 0; count < this.options.consumers; count += 1) {
      const { consumerTag } = await channel.consume(this.options.queue, (message) => this.deliver(message, unsettled));
      this.tags.push(consumerTag);
    }
    this.options.onConsuming();
  }

  private deliver(message: ConsumeMessage | null, unsettled: UnsettledDeliveries): void {
    if (message) this.options.onDelivery(unsettled.add(message));
    else this.channel.replace(new Error(`the broker cancelled the consumer of '${this.options.queue}'`));
  }

  private inTurn(step: () => Promise<void>, errors: 'ignore' | 'rethrow' = 'ignore'): Promise<void> {
    const result = this.turn.then(step);
    // A failed step means a lost channel: its own event says so, and the next channel starts as wanted.
    this.turn = result.catch(() => {});
    return errors === 'rethrow' ? result : this.turn;
  }
}
