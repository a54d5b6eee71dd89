import type { Table } from '#amqp-codec';
import type { Consumer, SettlementQueue } from './consumer.js';
import type { ConsumerBias } from './consumer-bias.js';
import type { Message } from './message.js';

/** Stands for one connection where exclusivity is asked about; compared by identity. */
export type Owner = object;

export interface ExchangeDeclaration {
  name: string;
  type: string;
  passive: boolean;
  durable: boolean;
  autoDelete: boolean;
  internal: boolean;
  arguments: Table;
}

export interface QueueDeclaration {
  /** Empty: the server names it. */
  name: string;
  /** The name it then gets, when somebody has already asked for one. */
  serverName?: string;
  passive: boolean;
  durable: boolean;
  exclusive: boolean;
  autoDelete: boolean;
  arguments: Table;
}

export interface Binding {
  source: string;
  destination: string;
  routingKey: string;
  arguments: Table;
}

/**
 * `routed`: at least one queue holds it. `unroutable`: none matched (a confirm is still an ack). `rejected`: a queue with
 * reject-publish refused it (a confirm is a nack), though others may hold it.
 */
export type PublishResult = 'routed' | 'unroutable' | 'rejected';

export interface ReadyMessage {
  queue: SettlementQueue;
  sequence: number;
  message: Message;
  redelivered: boolean;
  /** Times the delivery failed before (quorum queues: x-delivery-count). */
  failures: number;
  /** Messages still ready after this one. */
  messageCount: number;
}

/** Undefined or negative: none. */
export interface VirtualHostLimits {
  maxConnections?: number | undefined;
  maxQueues?: number | undefined;
}

/**
 * Exchanges, queues and bindings of one virtual host: everything a channel asks of the engine.
 * All calls are synchronous and throw ChannelError or ConnectionError with RabbitMQ's codes and texts.
 */
export interface VirtualHost {
  readonly name: string;
  readonly limits: VirtualHostLimits;

  /** The type of an exchange; undefined when there is none. */
  exchangeType(name: string): string | undefined;
  hasQueue(name: string): boolean;

  declareExchange(declaration: ExchangeDeclaration): void;
  deleteExchange(name: string, ifUnused: boolean): void;
  bindExchange(binding: Binding): void;
  unbindExchange(binding: Binding): void;

  declareQueue(
    declaration: QueueDeclaration,
    owner: Owner,
  ): { name: string; messageCount: number; consumerCount: number };
  bindQueue(binding: Binding, owner: Owner): void;
  unbindQueue(binding: Binding, owner: Owner): void;
  purgeQueue(name: string, owner: Owner): number;
  deleteQueue(name: string, condition: { ifUnused: boolean; ifEmpty: boolean }, owner: Owner): number;

  /** Throws what `publish` would of the exchange and the user's rights on it. */
  checkTarget(exchange: string, routingKey: string): void;
  /** Throws what `publish` would of the message itself, and stores nothing: a transaction learns it before its commit. */
  checkPublish(message: Message): void;
  /**
   * Routes and stores. Throws 404 for a missing exchange, 403 for an internal one, 406 for a bad expiration or CC.
   * Afterwards `store.appended` is the log offset at which the message will be durable.
   */
  publish(message: Message): PublishResult;

  /** Registers a subscription; deliveries start after this call has returned (next tick), so that consume-ok goes first. */
  consume(queueName: string, consumer: Consumer, owner: Owner): void;
  /** The channel cancelled it or closed. Deletes the queue when it was auto-delete and this was the last. */
  cancel(queueName: string, consumer: Consumer): void;
  consumerHasRoom(queueName: string, consumer: Consumer): void;

  /** basic.get. Calls back at once or, when the body must come from disk, later; `undefined` means empty. */
  get(queueName: string, noAck: boolean, owner: Owner, onMessage: (ready: ReadyMessage | undefined) => void): void;

  /** The connection is gone: its exclusive queues go with it. */
  releaseOwner(owner: Owner): void;
}

/** The virtual hosts there are. They come and go while a broker runs. */
export interface VirtualHostDirectory {
  /** Of all queues of all of them. */
  readonly consumerBias: ConsumerBias;
  virtualHost(name: string): VirtualHost | undefined;
  /** Called before a virtual host is emptied: the connections to it must close and let go of what they hold. */
  onDeleting(listener: (name: string) => void): void;
}

/** How far the log has come, as channels need it for confirms and connections for flow control. */
export interface Durability {
  /** Offset of everything appended so far. A confirm may go out once `durable` has reached the value read right after its publish. */
  readonly appended: number;
  readonly durable: number;
  /** Bytes appended and not yet synced; publishers are paused above a bound. */
  readonly unsyncedBytes: number;
  /** A confirm waits: sync as soon as the running sync is done (at once when none runs). */
  requestSync(): void;
  /** Called once after each sync. Returns the function that removes the listener. */
  onDurable(listener: () => void): () => void;
}
