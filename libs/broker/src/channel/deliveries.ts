import { contentFramesBytes, deliverFrameBytes, encodeMethod, writeContent, writeDeliver } from '#amqp-codec';
import { BACKLOG_BYTES_MAX } from '../connection/output.js';
import type { SettlementQueue } from '../consumer.js';
import { ChannelError } from '../errors.js';
import type { Message } from '../message.js';
import type { ReadyMessage } from '../virtual-host.js';
import { ChannelConsumer, type Subscription } from './channel-consumer.js';
import type { ChannelHost } from './channel-host.js';
import { withDeliveryCount } from './delivery-count.js';
import { REPLY_QUEUE } from './direct-reply.js';
import { Prefetch } from './prefetch.js';
import { Settled } from './settled.js';
import type { SettlementKind, Transaction } from './transaction.js';
import { type OnTaken, UNACKED_PER_CHANNEL_MAX, UnackedDeliveries } from './unacked.js';

/** The consuming half of a channel: its consumers, the deliveries they hold, and their settlement. */
export class Deliveries {
  readonly prefetch = new Prefetch();
  readonly unacked = new UnackedDeliveries();
  readonly #consumers = new Map<string, ChannelConsumer>();
  /** Those whose queues were told that there is no room, and must be told when there is. */
  readonly #starved = new Set<ChannelConsumer>();
  readonly #number: number;
  readonly #host: ChannelHost;
  readonly #acknowledged = new Settled();
  readonly #onAcknowledged: () => void;
  #lastTag = 0;
  #replyAddress: string | undefined;

  /** `onAcknowledged` arranges that `flush` is called before long. */
  constructor(number: number, host: ChannelHost, onAcknowledged: () => void) {
    this.#number = number;
    this.#host = host;
    this.#onAcknowledged = onAcknowledged;
  }

  /** Where replies to this channel's requests go; undefined when it consumes none. */
  get replyAddress(): string | undefined {
    return this.#replyAddress;
  }

  get consumerCount(): number {
    return this.#consumers.size;
  }

  hasConsumer(tag: string): boolean {
    return this.#consumers.has(tag);
  }

  consume(subscription: Subscription): void {
    const consumer = new ChannelConsumer(this, subscription);
    this.#host.virtualHost.consume(subscription.queueName, consumer, this.#host.owner);
    this.#consumers.set(consumer.tag, consumer);
  }

  /** Consumes the replies to this channel's requests. Throws 406 for a second consumer, or one that would acknowledge. */
  consumeReplies(tag: string, noAck: boolean): void {
    if (!noAck) throw new ChannelError('precondition-failed', 'reply consumer cannot acknowledge');
    if (this.#replyAddress !== undefined) throw new ChannelError('precondition-failed', 'reply consumer already set');
    const subscription = { tag, queueName: REPLY_QUEUE, noAck, exclusive: false, priority: 0, prefetch: 0 };
    const consumer = new ChannelConsumer(this, subscription);
    this.#consumers.set(tag, consumer);
    this.#replyAddress = this.#host.replies.open((message) => {
      if (this.#host.output.backlogBytes > BACKLOG_BYTES_MAX) return false;
      this.#host.counters.deliveredNoAck++;
      this.#writeDeliver(consumer, ++this.#lastTag, message, message.properties, false);
      return true;
    });
  }

  /** Deliveries it holds stay unsettled. An unknown tag is nothing to complain about. */
  cancel(tag: string): void {
    const consumer = this.#consumers.get(tag);
    if (consumer === undefined) return;
    this.#consumers.delete(tag);
    this.#starved.delete(consumer);
    if (consumer.queueName === REPLY_QUEUE) this.#closeReplyAddress();
    else this.#host.virtualHost.cancel(consumer.queueName, consumer);
  }

  /** Ends the consumers of queues that may no longer be read; what they hold stays theirs to settle. */
  cancelForbidden(): void {
    const { rights, virtualHost } = this.#host;
    for (const consumer of [...this.#consumers.values()]) {
      if (consumer.queueName === REPLY_QUEUE || rights.may('read', consumer.queueName)) continue;
      this.cancelledByServer(consumer);
      virtualHost.cancel(consumer.queueName, consumer);
    }
  }

  cancelledByServer(consumer: ChannelConsumer): void {
    this.#starved.delete(consumer);
    if (!this.#consumers.delete(consumer.tag) || !this.#host.hearsConsumerCancel) return;
    this.#host.output.send(this.#number, 'basic.cancel', { consumerTag: consumer.tag, nowait: true });
  }

  hasRoomFor(consumer: ChannelConsumer): boolean {
    if (!this.#host.output.hasRoom) return false;
    if (consumer.noAck) return true;
    if (consumer.prefetch !== 0 && consumer.unacked >= consumer.prefetch) return false;
    return this.prefetch.hasSharedRoom && this.unacked.count < UNACKED_PER_CHANNEL_MAX;
  }

  noteStarved(consumer: ChannelConsumer): void {
    this.#starved.add(consumer);
  }

  /** Tells the queues of consumers that were full and no longer are. */
  wakeConsumers(): void {
    for (const consumer of this.#starved) {
      if (!this.hasRoomFor(consumer)) continue;
      this.#starved.delete(consumer);
      this.#host.virtualHost.consumerHasRoom(consumer.queueName, consumer);
    }
  }

  deliver(
    consumer: ChannelConsumer,
    queue: SettlementQueue,
    sequence: number,
    message: Message,
    redelivered: boolean,
    failures: number,
  ): void {
    const tag = ++this.#lastTag;
    const { counters } = this.#host;
    if (consumer.noAck) {
      counters.deliveredNoAck++;
    } else {
      this.unacked.add(tag, queue, sequence, consumer);
      consumer.unacked++;
      this.prefetch.sharedUnacked++;
      counters.delivered++;
    }
    if (redelivered) counters.redelivered++;

    const properties = failures === 0 ? message.properties : withDeliveryCount(message.properties, failures);
    this.#writeDeliver(consumer, tag, message, properties, redelivered);
  }

  /** Answers basic.get. */
  answerGet(ready: ReadyMessage | undefined, noAck: boolean): void {
    const { counters, output, frameMax } = this.#host;
    if (ready === undefined) {
      counters.gotEmpty++;
      output.send(this.#number, 'basic.get-empty', {});
      return;
    }
    const tag = ++this.#lastTag;
    counters.got++;
    if (ready.redelivered) counters.redelivered++;
    if (!noAck) this.unacked.add(tag, ready.queue, ready.sequence, undefined);

    const { message, failures, redelivered, messageCount } = ready;
    const { exchange, routingKey, body } = message;
    const properties = failures === 0 ? message.properties : withDeliveryCount(message.properties, failures);
    const method = encodeMethod(this.#number, 'basic.get-ok', {
      deliveryTag: tag,
      redelivered,
      exchange,
      routingKey,
      messageCount,
    });
    const at = output.reserve(method.length + contentFramesBytes(properties.length, body.length, frameMax));
    output.block.set(method, at);
    writeContent(output.block, at + method.length, this.#number, properties, body, frameMax);
  }

  /**
   * The client settles a tag, or with `multiple` all up to it (0: all there are). In a transaction the deliveries wait for
   * its commit. Throws 406 for a tag that is unknown or settled.
   */
  settle(kind: SettlementKind, tag: number, multiple: boolean, transaction: Transaction | undefined): void {
    if (transaction !== undefined) {
      transaction.checkRoom();
      const isKnown = this.#take(tag, multiple, (queue, sequence, consumer, each) =>
        transaction.addSettlement(kind, queue, sequence, consumer, each),
      );
      if (!isKnown) throw unknownTag(tag);
      return;
    }
    if (kind === 'ack') {
      if (!this.#take(tag, multiple, this.#acknowledge)) throw unknownTag(tag);
      this.#onAcknowledged();
      return;
    }
    this.flush();
    const settled = new Settled();
    const isKnown = this.#take(tag, multiple, (queue, sequence, consumer) => {
      this.#releasePrefetch(consumer);
      settled.add(queue, sequence);
    });
    if (!isKnown) throw unknownTag(tag);
    this.#handBack(kind, settled);
    this.wakeConsumers();
  }

  /**
   * A minute has passed: looks for deliveries that were held too long. Throws 406 where that closes the channel; elsewhere they
   * return to their queue, and what the client says of them later changes nothing.
   */
  onMinute(): void {
    this.unacked.minute++;
    if (this.#host.behaviour.consumerTimeout === 'quorum-queue-takes-back') {
      this.#takeBackOverdue();
      return;
    }
    const overdue = this.unacked.findHeld((heldMs, queue, consumer) => isOverdue(heldMs, queue, consumer));
    if (overdue === undefined) return;
    const timeoutMs = overdue.queue.timeoutMs(overdue.consumer?.timeoutMs);
    throw new ChannelError(
      'precondition-failed',
      `delivery acknowledgement on channel ${this.#number} timed out. Timeout value used: ${timeoutMs} ms. ` +
        'This timeout value can be configured, see consumers doc guide to learn more',
    );
  }

  #takeBackOverdue(): void {
    const settled = new Settled();
    this.unacked.takeBack(isOverdue, TAKEN_BACK, (queue, sequence) => settled.add(queue, sequence));
    if (!settled.isEmpty) this.#handBack('requeue', settled);
  }

  /** basic.recover: all unsettled deliveries go back to their places. */
  recover(): void {
    this.flush();
    this.#requeueAll();
    this.wakeConsumers();
  }

  /** Applies what a committed transaction has settled, in its order. */
  applySettlements(transaction: Transaction): void {
    for (const { kind, delivery } of transaction.settlements) {
      const { queue, sequence, consumer } = delivery;
      if (kind === 'ack') {
        this.#acknowledge(queue, sequence, consumer, delivery.tag);
        continue;
      }
      this.flush();
      this.#releasePrefetch(consumer);
      const settled = new Settled();
      settled.add(queue, sequence);
      this.#handBack(kind, settled);
    }
    this.flush();
    this.wakeConsumers();
  }

  /** A rolled back settlement leaves the delivery unsettled; it is not requeued. */
  restoreSettlements(transaction: Transaction): void {
    this.unacked.restore(transaction.settlements.map(({ delivery }) => delivery));
  }

  /** Hands gathered acknowledgements to their queues. Called before anything that must see them, and at the end of a read. */
  flush(): void {
    this.#acknowledged.flush((queue, sequences) => {
      this.#host.counters.acknowledged += sequences.length;
      queue.acknowledge(sequences);
    });
  }

  /** The channel is done: consumers go, then unsettled deliveries return to their queues. */
  release(): void {
    this.flush();
    for (const tag of [...this.#consumers.keys()]) this.cancel(tag);
    this.#requeueAll();
  }

  #writeDeliver(
    consumer: ChannelConsumer,
    tag: number,
    message: Message,
    properties: Buffer,
    redelivered: boolean,
  ): void {
    const { output, frameMax } = this.#host;
    const { body, addressBytes } = message;
    const { tagBytes } = consumer;
    const methodBytes = deliverFrameBytes(tagBytes, addressBytes);
    const at = output.reserve(methodBytes + contentFramesBytes(properties.length, body.length, frameMax));
    const { block } = output;
    const next = writeDeliver(block, at, this.#number, tagBytes, tag, redelivered, addressBytes);
    writeContent(block, next, this.#number, properties, body, frameMax);
  }

  #closeReplyAddress(): void {
    if (this.#replyAddress !== undefined) this.#host.replies.close(this.#replyAddress);
    this.#replyAddress = undefined;
  }

  readonly #acknowledge: OnTaken = (queue, sequence, consumer) => {
    this.#releasePrefetch(consumer);
    this.#acknowledged.add(queue, sequence);
  };

  #take(tag: number, multiple: boolean, onTaken: OnTaken): boolean {
    return multiple ? this.unacked.takeUpTo(tag, onTaken) : this.unacked.takeOne(tag, onTaken);
  }

  #releasePrefetch(consumer: ChannelConsumer | undefined): void {
    if (consumer === undefined) return;
    consumer.unacked--;
    this.prefetch.sharedUnacked--;
  }

  #requeueAll(): void {
    const settled = new Settled();
    this.unacked.takeUpTo(0, (queue, sequence, consumer) => {
      this.#releasePrefetch(consumer);
      settled.add(queue, sequence);
    });
    this.#handBack('requeue', settled);
  }

  #handBack(kind: Exclude<SettlementKind, 'ack'>, settled: Settled): void {
    settled.flush((queue, sequences) => {
      if (kind === 'reject') {
        this.#host.counters.rejected += sequences.length;
        queue.reject(sequences);
      } else {
        this.#host.counters.requeued += sequences.length;
        queue.requeue(sequences, kind === 'requeue');
      }
    });
  }
}

function isOverdue(heldMs: number, queue: SettlementQueue, consumer: ChannelConsumer | undefined): boolean {
  const timeoutMs = queue.timeoutMs(consumer?.timeoutMs);
  return timeoutMs !== undefined && heldMs >= timeoutMs;
}

/** Stands in for the queue of a delivery that timed out: its consumer still holds the tag, and its place in the prefetch, until it settles it. */
const TAKEN_BACK: SettlementQueue = {
  name: '',
  timeoutMs: () => undefined,
  acknowledge() {},
  requeue() {},
  reject() {},
};

function unknownTag(tag: number): ChannelError {
  return new ChannelError('precondition-failed', `unknown delivery tag ${tag}`);
}
