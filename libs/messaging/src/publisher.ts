import type { Message as AmqpMessage, ConfirmChannel, Options } from 'amqplib';
import { asError, type BrokerConnection } from './connection.js';
import { PublishError } from './errors.js';
import { KeptChannel } from './kept-channel.js';
import type { MessagingLogger } from './logger.js';

/** Publishes that may wait for their confirm at once; the next one is refused as `overloaded`. */
export const UNCONFIRMED_MAX = 4_096;
/** `publishAll` sends this many, waits for their confirms, then sends the next. */
const PUBLISH_ALL_SLICE = 512;
/** A publish without a confirm for this long is unknown: the broker is paused, or gone without a word. */
const CONFIRM_TIMEOUT_MS = 15_000;
/** The same once the broker has said that it takes nothing: its confirm may still be on the way, but whoever waits is told soon. */
const BLOCKED_CONFIRM_TIMEOUT_MS = 2_000;
const SWEEP_INTERVAL_MS = 1_000;

export interface OutgoingMessage {
  exchange: string;
  routingKey: string;
  body: Buffer | string;
  headers?: Record<string, unknown>;
  /** Default true. */
  persistent?: boolean;
  /** Default true: a message that no queue takes comes back as `unroutable`. */
  mandatory?: boolean;
  type?: string;
  messageId?: string;
  /** Milliseconds. */
  expiration?: number;
  replyTo?: string;
  correlationId?: string;
  /** Default `application/json`. */
  contentType?: string;
}

export type PublishResult = 'confirmed' | 'unroutable';

interface Unconfirmed {
  sentAt: number;
  settle(result: PublishResult | PublishError): void;
}

/** Publishes with confirms on a channel of its own. Closed by its connection. */
export class Publisher {
  private readonly channel: KeptChannel;
  /** In sending order, which is the order of `sentAt`. */
  private readonly unconfirmed = new Set<Unconfirmed>();
  /** Messages that came back and whose confirm, which follows, has not come: at most `UNCONFIRMED_MAX`. */
  private readonly returned = new Map<string, number>();
  private readonly sweeper: NodeJS.Timeout;
  private nextMessageId = 0;
  private idle: (() => void) | undefined;

  constructor(
    private readonly connection: BrokerConnection,
    logger: MessagingLogger,
  ) {
    this.channel = new KeptChannel(
      connection,
      {
        logger,
        purpose: 'publisher',
        opened: async (channel) => {
          this.returned.clear();
          channel.on('return', (message) => this.noteReturned(message));
        },
        lost: (error) => this.failAll(new PublishError('disconnected', `no confirm: ${error.message}`, true)),
      },
      'confirm',
    );
    this.sweeper = setInterval(() => this.failOverdue(Date.now()), SWEEP_INTERVAL_MS);
    this.sweeper.unref();
  }

  /** Resolves after the broker's confirm: the message is on disk, or no queue wanted it. Rejects with `PublishError`. */
  publish(message: OutgoingMessage): Promise<PublishResult> {
    const { current } = this.channel;
    if (!current) return Promise.reject(new PublishError('disconnected', 'no connection to the broker', false));
    if (this.connection.isBlocked) {
      return Promise.reject(new PublishError('blocked', 'the broker takes no messages now', false));
    }
    if (this.unconfirmed.size >= UNCONFIRMED_MAX) {
      return Promise.reject(new PublishError('overloaded', `${UNCONFIRMED_MAX} publishes wait for the broker`, false));
    }
    return this.send(current, message);
  }

  /** Publishes all, in order; answers in the same order, each a result or the error that `publish` rejects with. */
  async publishAll(messages: readonly OutgoingMessage[]): Promise<(PublishResult | PublishError)[]> {
    const results: (PublishResult | PublishError)[] = [];
    for (let start = 0; start < messages.length; start += PUBLISH_ALL_SLICE) {
      const slice = messages.slice(start, start + PUBLISH_ALL_SLICE);
      results.push(...(await Promise.all(slice.map((message) => this.publish(message).catch(asPublishError)))));
    }
    return results;
  }

  /** Waits until nothing is unconfirmed, at most `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    if (this.unconfirmed.size === 0) return;

    await new Promise<void>((resolve) => {
      this.idle = resolve;
      setTimeout(resolve, timeoutMs).unref();
    });
  }

  async close(): Promise<void> {
    clearInterval(this.sweeper);
    await this.channel.close();
  }

  private send(channel: ConfirmChannel, message: OutgoingMessage): Promise<PublishResult> {
    const mandatory = message.mandatory ?? true;
    const messageId = message.messageId ?? (mandatory ? this.freshMessageId() : undefined);
    const options: Options.Publish = {
      mandatory,
      persistent: message.persistent ?? true,
      contentType: message.contentType ?? 'application/json',
      headers: message.headers ?? {},
      messageId,
      type: message.type,
      replyTo: message.replyTo,
      correlationId: message.correlationId,
      expiration: message.expiration,
    };
    const body = typeof message.body === 'string' ? Buffer.from(message.body) : message.body;

    return new Promise((resolve, reject) => {
      const waiting: Unconfirmed = {
        sentAt: Date.now(),
        settle: (result) => {
          if (!this.unconfirmed.delete(waiting)) return;
          if (this.unconfirmed.size === 0) this.idle?.();
          if (result instanceof PublishError) reject(result);
          else resolve(result);
        },
      };
      this.unconfirmed.add(waiting);
      try {
        channel.publish(message.exchange, message.routingKey, body, options, (error: Error | null) =>
          waiting.settle(this.verdict(error, message.exchange, message.routingKey, messageId)),
        );
      } catch (error) {
        // The client refuses before a byte is written: the channel just closed, or a header it cannot encode.
        waiting.settle(new PublishError('disconnected', asError(error).message, false));
      }
    });
  }

  private verdict(
    error: Error | null,
    exchange: string,
    routingKey: string,
    messageId: string | undefined,
  ): PublishResult | PublishError {
    if (!error) return this.takeReturned(returnKey(exchange, routingKey, messageId)) ? 'unroutable' : 'confirmed';
    if (error.message === 'message nacked') return new PublishError('nacked', 'the broker refused the message', false);
    return new PublishError('disconnected', `no confirm: ${error.message}`, true);
  }

  /** The broker sends the return before the confirm of the same message. */
  private noteReturned({ fields, properties }: AmqpMessage): void {
    const key = returnKey(fields.exchange, fields.routingKey, properties.messageId);
    this.returned.set(key, (this.returned.get(key) ?? 0) + 1);
  }

  private takeReturned(key: string): boolean {
    const count = this.returned.get(key) ?? 0;
    if (count === 0) return false;

    if (count === 1) this.returned.delete(key);
    else this.returned.set(key, count - 1);
    return true;
  }

  private failOverdue(now: number): void {
    const { isBlocked } = this.connection;
    const timeoutMs = isBlocked ? BLOCKED_CONFIRM_TIMEOUT_MS : CONFIRM_TIMEOUT_MS;
    for (const waiting of this.unconfirmed) {
      if (now - waiting.sentAt < timeoutMs) return;

      const kind = isBlocked ? 'blocked' : 'disconnected';
      waiting.settle(new PublishError(kind, `no confirm within ${timeoutMs} ms`, true));
    }
  }

  private failAll(error: PublishError): void {
    for (const waiting of [...this.unconfirmed]) waiting.settle(error);
    this.returned.clear();
  }

  private freshMessageId(): string {
    this.nextMessageId += 1;
    return `${process.pid}-${this.nextMessageId}`;
  }
}

function returnKey(exchange: string, routingKey: string, messageId: string | undefined): string {
  return `${messageId} ${exchange} ${routingKey}`;
}

function asPublishError(error: unknown): PublishError {
  return error instanceof PublishError ? error : new PublishError('disconnected', asError(error).message, true);
}
