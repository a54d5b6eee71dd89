import { randomUUID } from 'node:crypto';
import type { BrokerConnection } from './connection.js';
import { PublishError } from './errors.js';
import { KeptChannel } from './kept-channel.js';
import type { MessagingLogger } from './logger.js';
import type { OutgoingMessage, Publisher } from './publisher.js';

/** Requests that may wait for their answer at once. */
export const PENDING_REQUESTS_MAX = 1_000;

export interface Request {
  exchange: string;
  routingKey: string;
  type: string;
  body?: Buffer | string;
  headers?: Record<string, unknown>;
  timeoutMs: number;
}

export type RequestResult =
  | { result: 'answered'; body: Buffer; headers: Record<string, unknown> }
  /** Nobody answered in time; the request may still be carried out. */
  | { result: 'timeout' }
  /** It did not leave: no connection, blocked, overloaded or no queue. */
  | { result: 'not-sent'; error: Error };

/** Sends requests and matches the answers from an exclusive reply queue. Closed by its Messaging. */
export class Requests {
  private readonly channel: KeptChannel;
  private readonly pending = new Map<string, (result: RequestResult) => void>();
  private replyQueue: string | undefined;

  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
    logger: MessagingLogger,
  ) {
    this.channel = new KeptChannel(connection, {
      logger,
      purpose: 'replies',
      opened: async (channel) => {
        const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true, durable: false });
        await channel.consume(
          queue,
          (message) => {
            if (!message) return this.channel.replace(new Error('the broker cancelled the reply consumer'));
            const answer = this.pending.get(String(message.properties.correlationId));
            answer?.({ result: 'answered', body: message.content, headers: message.properties.headers ?? {} });
          },
          { noAck: true },
        );
        this.replyQueue = queue;
      },
      lost: () => {
        this.replyQueue = undefined;
        // The answers will go to a queue that is gone.
        for (const answer of [...this.pending.values()]) answer({ result: 'timeout' });
      },
    });
  }

  async request(request: Request): Promise<RequestResult> {
    const { replyQueue } = this;
    if (replyQueue === undefined) return notSent('disconnected', 'no connection to the broker');
    if (this.pending.size >= PENDING_REQUESTS_MAX) return notSent('overloaded', 'too many requests wait for an answer');

    const correlationId = randomUUID();
    const expiration = request.timeoutMs;
    const { exchange, routingKey, type, headers, body = '' } = request;
    const message: OutgoingMessage = {
      ...{ exchange, routingKey, type, headers, body, correlationId, expiration },
      replyTo: replyQueue,
      persistent: false,
    };
    return new Promise((resolve) => {
      const timer = setTimeout(() => answer({ result: 'timeout' }), request.timeoutMs);
      const answer = (result: RequestResult) => {
        clearTimeout(timer);
        this.pending.delete(correlationId);
        resolve(result);
      };
      this.pending.set(correlationId, answer);
      this.publisher.publish(message).then(
        (published) => {
          if (published === 'unroutable')
            answer({ result: 'not-sent', error: new Error(`no queue for '${routingKey}'`) });
        },
        (error: Error) => answer({ result: 'not-sent', error }),
      );
    });
  }

  async close(): Promise<void> {
    await this.channel.close();
  }
}

function notSent(kind: 'disconnected' | 'overloaded', message: string): RequestResult {
  return { result: 'not-sent', error: new PublishError(kind, message, false) };
}
