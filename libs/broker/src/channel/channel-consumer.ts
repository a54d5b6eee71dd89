import { encodeTextInto, textBytes } from '#amqp-codec';
import type { Consumer, SettlementQueue } from '../consumer.js';
import type { Message } from '../message.js';
import type { Deliveries } from './deliveries.js';

export interface Subscription {
  tag: string;
  queueName: string;
  noAck: boolean;
  exclusive: boolean;
  priority: number;
  /** Unsettled deliveries it may hold; 0 is unlimited. Fixed when it starts. */
  prefetch: number;
  /** x-consumer-timeout, in milliseconds. */
  timeoutMs?: number | undefined;
}

/** A basic.consume of one channel. Owned by `Deliveries`, which removes it on cancel and at the end of the channel. */
export class ChannelConsumer implements Consumer {
  readonly tag: string;
  readonly queueName: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly prefetch: number;
  readonly timeoutMs: number | undefined;
  /** The tag as a short string on the wire. */
  readonly tagBytes: Buffer;
  unacked = 0;
  readonly #deliveries: Deliveries;

  constructor(deliveries: Deliveries, subscription: Subscription) {
    this.#deliveries = deliveries;
    this.tag = subscription.tag;
    this.queueName = subscription.queueName;
    this.noAck = subscription.noAck;
    this.exclusive = subscription.exclusive;
    this.priority = subscription.priority;
    this.prefetch = subscription.prefetch;
    this.timeoutMs = subscription.timeoutMs;
    this.tagBytes = Buffer.alloc(1 + textBytes(this.tag));
    this.tagBytes[0] = this.tagBytes.length - 1;
    encodeTextInto(this.tagBytes, 1, this.tag);
  }

  get isUnderSharedPrefetch(): boolean {
    return this.#deliveries.prefetch.shared !== 0;
  }

  hasRoom(): boolean {
    const hasRoom = this.#deliveries.hasRoomFor(this);
    if (!hasRoom) this.#deliveries.noteStarved(this);
    return hasRoom;
  }

  deliver(queue: SettlementQueue, sequence: number, message: Message, redelivered: boolean, failures: number): void {
    this.#deliveries.deliver(this, queue, sequence, message, redelivered, failures);
  }

  cancelledByServer(): void {
    this.#deliveries.cancelledByServer(this);
  }
}
