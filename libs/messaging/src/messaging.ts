import { EventEmitter } from 'node:events';
import { parseBrokerUrls } from './broker-urls.js';
import { BrokerConnection, type ConnectionEvents } from './connection.js';
import { declareTopology } from './declare-topology.js';
import type { Delivery } from './delivery.js';
import { BrokerUnreachableError } from './errors.js';
import type { MessagingLogger } from './logger.js';
import { type OutgoingMessage, Publisher, type PublishResult } from './publisher.js';
import { QueueDepths } from './queue-depths.js';
import { type Request, type RequestResult, Requests } from './requests.js';
import { type ConsumeOptions, Subscription } from './subscription.js';
import { readTlsFiles, type TlsFiles } from './tls-files.js';

/** How long `connectMessaging` goes on trying before it gives up. */
const FIRST_CONNECTION_MS = 30_000;
/** How long `close` waits for outstanding confirms. */
const DRAIN_MS = 2_000;

export interface MessagingOptions {
  /** `amqp://host:5672`; several, comma-separated, are the nodes of a cluster and are tried in turn. */
  url: string;
  /** Name of the process, shown in the broker's management, e.g. `tocsin-worker`. */
  name: string;
  logger: MessagingLogger;
  /** For `amqps://` URLs. */
  tls?: TlsFiles | undefined;
  /** Default 30 s. */
  firstConnectionMs?: number;
}

/**
 * Connects and declares the topology. Rejects with one sentence: `BrokerUnreachableError` when no node answers in time,
 * `TopologyError` when the broker holds other definitions. Later losses are mended in the background.
 */
export async function connectMessaging(options: MessagingOptions): Promise<Messaging> {
  // A file that cannot be read now is a mistake in the configuration; later it is a reason to try again.
  await readTlsFiles(options.tls ?? {});
  const messaging = new Messaging(options);
  try {
    await messaging.firstConnection(options.firstConnectionMs ?? FIRST_CONNECTION_MS);
  } catch (error) {
    await messaging.close();
    throw error;
  }
  return messaging;
}

/**
 * The service's way to its broker. Owns one connection for publishing, requests and depths, plus one per name asked for
 * with `connection`: a broker that blocks publishers then still delivers. `failed` means that no reconnect will help:
 * end the process. Closed by who called `connectMessaging`.
 */
export class Messaging extends EventEmitter<ConnectionEvents> {
  private readonly urls: string[];
  private readonly main: BrokerConnection;
  private readonly named = new Map<string, NamedConnection>();
  private readonly mainPublisher: Publisher;
  private readonly requests: Requests;
  private readonly depths: QueueDepths;

  constructor(private readonly options: MessagingOptions) {
    super();
    const { name, logger, tls } = options;
    this.urls = parseBrokerUrls(options.url);
    this.main = new BrokerConnection({
      urls: this.urls,
      name,
      logger,
      tls,
      prepare: async (model) => {
        const channel = await model.createChannel();
        // Told by the rejected call as well; an unheard `error` event would end the process.
        channel.on('error', () => {});
        await declareTopology(channel);
        await channel.close();
      },
    });
    this.main.on('connected', () => this.emit('connected'));
    this.main.on('disconnected', (error) => this.emit('disconnected', error));
    this.main.on('blocked', (reason) => this.emit('blocked', reason));
    this.main.on('unblocked', () => this.emit('unblocked'));
    this.main.on('failed', (error) => this.emit('failed', error));
    this.mainPublisher = new Publisher(this.main, logger);
    this.requests = new Requests(this.main, this.mainPublisher, logger);
    this.depths = new QueueDepths(this.main, logger);
  }

  get isConnected(): boolean {
    return this.main.isConnected;
  }

  /** The broker takes no messages now (memory or disk alarm). */
  get isBlocked(): boolean {
    return this.main.isBlocked;
  }

  publisher(): Publisher {
    return this.mainPublisher;
  }

  publish(message: OutgoingMessage): Promise<PublishResult> {
    return this.mainPublisher.publish(message);
  }

  /** Sends a message of `type` and waits for its answer, e.g. a fence. Never rejects. */
  request(request: Request): Promise<RequestResult> {
    return this.requests.request(request);
  }

  /** Answers a request; without `replyTo` there is nobody to answer. */
  async reply(delivery: Delivery, body: Buffer | string): Promise<void> {
    const { replyTo, correlationId } = delivery;
    if (replyTo === undefined) return;

    // Not mandatory: an asker that went away needs no answer.
    const answer = { exchange: '', routingKey: replyTo, body, correlationId, persistent: false, mandatory: false };
    await this.mainPublisher.publish(answer);
  }

  /** Messages ready in a queue; `undefined` when the broker does not say. */
  async queueDepth(queue: string): Promise<number | undefined> {
    return (await this.depths.counts(queue))?.ready;
  }

  async consumerCount(queue: string): Promise<number | undefined> {
    return (await this.depths.counts(queue))?.consumers;
  }

  /** The connection of that name, made on first use. */
  connection(name: string): NamedConnection {
    const existing = this.named.get(name);
    if (existing) return existing;

    const { logger, tls } = this.options;
    const connection = new NamedConnection(
      new BrokerConnection({ urls: this.urls, name: `${this.options.name}/${name}`, logger, tls }),
      logger,
    );
    this.named.set(name, connection);
    return connection;
  }

  /** Consumes on the connection named after the queue. */
  consume(queue: string, options: ConsumeOptions): Subscription {
    return this.connection(queue).consume(queue, options);
  }

  /** Stops consuming, waits for outstanding confirms (at most 2 s), closes every connection. */
  async close(): Promise<void> {
    await Promise.all([...this.named.values()].map((connection) => connection.close()));
    await this.mainPublisher.drain(DRAIN_MS);
    await Promise.all([this.requests.close(), this.depths.close(), this.mainPublisher.close()]);
    await this.main.close();
  }

  /** @internal */
  async firstConnection(timeoutMs: number): Promise<void> {
    if (this.isConnected) return;

    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        const reason = this.main.lastError?.message ?? 'no answer';
        reject(new BrokerUnreachableError(`no broker at BROKER_URL after ${timeoutMs / 1_000} s (${reason})`));
      }, timeoutMs);
      this.main.once('connected', () => {
        clearTimeout(timer);
        resolve();
      });
      this.main.once('failed', (error) => {
        clearTimeout(timer);
        reject(error);
      });
    });
  }
}

/** A connection for consumers. Owns its subscriptions; closed by its Messaging. */
export class NamedConnection {
  private readonly subscriptions = new Set<Subscription>();

  constructor(
    private readonly connection: BrokerConnection,
    private readonly logger: MessagingLogger,
  ) {}

  get isConnected(): boolean {
    return this.connection.isConnected;
  }

  consume(queue: string, options: ConsumeOptions): Subscription {
    const subscription = new Subscription(queue, this.connection, options, this.logger);
    this.subscriptions.add(subscription);
    return subscription;
  }

  async close(): Promise<void> {
    await Promise.all([...this.subscriptions].map((subscription) => subscription.close()));
    await this.connection.close();
  }
}
