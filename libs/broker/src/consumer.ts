import type { Message } from './message.js';

/**
 * One subscription as its queue sees it. The channel implements it; the queue calls it and never looks behind it.
 */
export interface Consumer {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** x-priority; higher is served first. */
  readonly priority: number;
  /** Its channel has a limit of its own beside the consumers': quorum queues refuse that. */
  readonly isUnderSharedPrefetch: boolean;
  /** Prefetch left and the socket not back-pressured. When this turns true again the channel calls `queue.consumerHasRoom(this)`. */
  hasRoom(): boolean;
  /** Hands over one message. With `noAck` the queue has already settled it; otherwise the channel owes `queue` a settlement of `sequence`. */
  deliver(queue: SettlementQueue, sequence: number, message: Message, redelivered: boolean, failures: number): void;
  /** The queue is gone: tell the client with basic.cancel if it can hear it. */
  cancelledByServer(): void;
}

/** What a channel may do with a delivery it holds. Sequences are those given with the delivery; each is settled once. */
export interface SettlementQueue {
  readonly name: string;
  /** How long a delivery may stay unsettled; undefined is for ever. `askedMs`: the consumer's x-consumer-timeout. */
  timeoutMs(askedMs: number | undefined): number | undefined;
  acknowledge(sequences: readonly number[]): void;
  /** Back to the original position, marked redelivered. A failure counts towards the delivery limit; default true. */
  requeue(sequences: readonly number[], isFailure?: boolean): void;
  /** basic.reject or basic.nack with requeue=false: dead-letter (reason `rejected`) or drop. */
  reject(sequences: readonly number[]): void;
}
