import type { SettlementQueue } from '../consumer.js';
import { ChannelError } from '../errors.js';
import type { Message } from '../message.js';
import type { ChannelConsumer } from './channel-consumer.js';
import type { Delivery } from './unacked.js';

/** `return` is a requeue that is no failure: it does not count towards the delivery limit. */
export type SettlementKind = 'ack' | 'requeue' | 'return' | 'reject';

/** What one open transaction may hold in memory. */
export const TRANSACTION_BYTES_MAX = 128 * 1024 * 1024;
/** What each costs beside the bytes of a message: without it empty messages, and settlements, would have no bound. */
const PUBLISH_OVERHEAD_BYTES = 512;
const SETTLEMENT_BYTES = 128;

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

  get publishes(): readonly PendingPublish[] {
    return this.#publishes;
  }

  get settlements(): readonly PendingSettlement[] {
    return this.#settlements;
  }

  addPublish(message: Message, mandatory: boolean): void {
    this.#bytes += PUBLISH_OVERHEAD_BYTES + message.properties.length + message.body.length;
    this.checkRoom();
    this.#publishes.push({ message, mandatory });
  }

  /** Throws 406 when it holds too much already. */
  checkRoom(): void {
    if (this.#bytes <= TRANSACTION_BYTES_MAX) return;
    throw new ChannelError(
      'precondition-failed',
      `transaction holds more than ${TRANSACTION_BYTES_MAX} bytes; commit more often`,
    );
  }

  /** Never throws: what was taken from the unsettled must be kept. */
  addSettlement(
    kind: SettlementKind,
    queue: SettlementQueue,
    sequence: number,
    consumer: ChannelConsumer | undefined,
    tag: number,
  ): void {
    this.#bytes += SETTLEMENT_BYTES;
    this.#settlements.push({ kind, delivery: { tag, queue, sequence, consumer } });
  }

  /** Forgets everything gathered. */
  clear(): void {
    this.#publishes = [];
    this.#settlements = [];
    this.#bytes = 0;
  }
}
