import type { SettlementQueue } from '../consumer.js';
import { ChannelError } from '../errors.js';
import type { Message } from '../message.js';
import type { ChannelConsumer } from './channel-consumer.js';
import type { Delivery } from './unacked.js';

/** `return` is a requeue that is no failure: it does not count towards the delivery limit. */
export type SettlementKind = 'ack' | 'requeue' | 'return' | 'reject';

/** Body bytes one open transaction may hold in memory. */
export const TRANSACTION_BYTES_MAX = 128 * 1024 * 1024;

interface PendingPublish {
  message: Message;
  mandatory: boolean;
}

interface PendingSettlement {
  kind: SettlementKind;
  delivery: Delivery;
}

/** What a channel in tx mode has gathered since the last commit or rollback. A batch, as in RabbitMQ: not atomic over a crash. */
export class Transaction {
  #publishes: PendingPublish[] = [];
  #settlements: PendingSettlement[] = [];
  #bytes = 0;
  /** Log offset that must be durable before commit-ok; undefined when no commit is under way. */
  committingUpTo: number | undefined;

  get publishes(): readonly PendingPublish[] {
    return this.#publishes;
  }

  get settlements(): readonly PendingSettlement[] {
    return this.#settlements;
  }

  addPublish(message: Message, mandatory: boolean): void {
    this.#bytes += message.properties.length + message.body.length;
    if (this.#bytes > TRANSACTION_BYTES_MAX) {
      throw new ChannelError(
        'precondition-failed',
        `transaction holds more than ${TRANSACTION_BYTES_MAX} bytes; commit more often`,
      );
    }
    this.#publishes.push({ message, mandatory });
  }

  addSettlement(
    kind: SettlementKind,
    queue: SettlementQueue,
    sequence: number,
    consumer: ChannelConsumer | undefined,
    tag: number,
  ): void {
    this.#settlements.push({ kind, delivery: { tag, queue, sequence, consumer } });
  }

  /** Forgets everything gathered. */
  clear(): void {
    this.#publishes = [];
    this.#settlements = [];
    this.#bytes = 0;
  }
}
