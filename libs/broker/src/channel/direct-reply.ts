import { randomBytes } from 'node:crypto';
import { decodeProperties, encodeProperties, hasProperty, peekProperty } from '#amqp-codec';
import { ChannelError } from '../errors.js';
import type { Message } from '../message.js';

/**
 * Direct reply-to: a pseudo queue. Who consumes from it gets an address; its publishes with reply_to set to the pseudo
 * queue carry that address instead, and what is published to the address goes straight to the channel. Nothing is stored.
 * https://www.rabbitmq.com/docs/direct-reply-to
 */
export const REPLY_QUEUE = 'amq.rabbitmq.reply-to';
const ADDRESS_PREFIX = `${REPLY_QUEUE}.`;

/** Takes a reply; false when it cannot, and the reply is lost. */
export type TakeReply = (message: Message) => boolean;

/** The reply addresses of one virtual host: at most one per open channel. */
export class ReplyAddresses {
  readonly #takers = new Map<string, TakeReply>();

  /** A new address, hard to guess. */
  open(take: TakeReply): string {
    const address = ADDRESS_PREFIX + randomBytes(18).toString('base64url');
    this.#takers.set(address, take);
    return address;
  }

  close(address: string): void {
    this.#takers.delete(address);
  }

  has(address: string): boolean {
    return this.#takers.has(address);
  }

  /** Delivers a message published to an address; false when nobody is there. */
  deliver(message: Message): boolean {
    return this.#takers.get(message.routingKey)?.(message) ?? false;
  }
}

/** Whether a publish goes to a reply address instead of to queues. */
export function isReply(exchange: string, routingKey: string): boolean {
  return exchange === '' && routingKey.startsWith(ADDRESS_PREFIX);
}

/** Whether a queue name means the pseudo queue or an address of it. */
export function isReplyName(queueName: string): boolean {
  return queueName === REPLY_QUEUE || queueName.startsWith(ADDRESS_PREFIX);
}

/** Properties with the requester's address where it wrote the pseudo queue. Throws 406 when it does not consume replies. */
export function withReplyAddress(properties: Buffer, address: string | undefined): Buffer {
  if (!hasProperty(properties, 'replyTo') || peekProperty(properties, 'replyTo') !== REPLY_QUEUE) return properties;
  if (address === undefined) throw new ChannelError('precondition-failed', 'fast reply consumer does not exist');
  return encodeProperties({ ...decodeProperties(properties), replyTo: address });
}
