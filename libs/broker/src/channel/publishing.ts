import {
  contentFramesBytes,
  encodeMethod,
  hasProperty,
  KEY_ACK,
  KEY_NACK,
  PublishReader,
  peekProperty,
  SETTLEMENT_FRAME_BYTES,
  writeContent,
  writeSettlement,
} from '#amqp-codec';
import { ChannelError, ConnectionError, REPLY_CODES } from '../errors.js';
import { Message } from '../message.js';
import type { PublishResult } from '../virtual-host.js';
import type { ChannelHost } from './channel-host.js';
import { Confirms } from './confirms.js';
import { ContentAssembler } from './content-assembler.js';
import { isReply, withReplyAddress } from './direct-reply.js';
import { Transaction } from './transaction.js';

/** What the client asked of its publishes: nothing, confirms or transactions. Each choice is for the life of the channel. */
type PublishMode =
  | { readonly kind: 'plain' }
  | { readonly kind: 'confirm'; readonly confirms: Confirms }
  | { readonly kind: 'tx'; readonly transaction: Transaction };

export interface PublishingCallbacks {
  /** A message is about to be stored: earlier acknowledgements must stand before it in the log. */
  onPublish(): void;
  /** Where replies to this channel's requests go; undefined when it consumes none. */
  replyAddress(): string | undefined;
}

/** The publishing half of a channel: contents come in, are checked and stored, returned or confirmed. */
export class Publishing {
  readonly assembler: ContentAssembler;
  readonly #method = new PublishReader();
  readonly #number: number;
  readonly #host: ChannelHost;
  readonly #callbacks: PublishingCallbacks;
  #mode: PublishMode = { kind: 'plain' };

  constructor(number: number, host: ChannelHost, callbacks: PublishingCallbacks) {
    this.#number = number;
    this.#host = host;
    this.#callbacks = callbacks;
    this.assembler = new ContentAssembler(host.messageBytesMax, (properties, body) =>
      this.#onContent(properties, body),
    );
  }

  get mode(): PublishMode['kind'] {
    return this.#mode.kind;
  }

  get unconfirmed(): number {
    return this.#mode.kind === 'confirm' ? this.#mode.confirms.unconfirmed : 0;
  }

  get transaction(): Transaction | undefined {
    return this.#mode.kind === 'tx' ? this.#mode.transaction : undefined;
  }

  selectConfirms(): void {
    if (this.#mode.kind === 'tx')
      throw new ChannelError('precondition-failed', 'cannot switch from tx to confirm mode');
    if (this.#mode.kind === 'plain') this.#mode = { kind: 'confirm', confirms: new Confirms() };
  }

  selectTransactions(): void {
    if (this.#mode.kind === 'confirm')
      throw new ChannelError('precondition-failed', 'cannot switch from confirm to tx mode');
    if (this.#mode.kind === 'plain') this.#mode = { kind: 'tx', transaction: new Transaction() };
  }

  /** basic.publish was received; its content follows. */
  startPublish(bytes: Buffer, start: number, end: number): void {
    this.#method.read(bytes, start, end);
    if (this.#method.immediate) throw new ConnectionError('not-implemented', 'immediate=true');
    this.assembler.start();
  }

  /** Stores what a transaction has gathered. Returns what a confirm would say of all of it. */
  publishAll(transaction: Transaction): 'accepted' | 'refused' {
    let outcome: 'accepted' | 'refused' = 'accepted';
    for (const { message, mandatory } of transaction.publishes) {
      if (this.#store(message, mandatory) === 'rejected') outcome = 'refused';
    }
    return outcome;
  }

  /** Sends the confirms that are due. Returns the log offset the others wait for, 0 when none waits. */
  sendConfirms(): number {
    if (this.#mode.kind !== 'confirm' || this.#mode.confirms.isEmpty) return 0;
    const { confirms } = this.#mode;
    confirms.closeRun();
    confirms.send(this.#host.durability.durable, this.#sendConfirm);
    return confirms.neededOffset;
  }

  #onContent(properties: Buffer, body: Buffer): void {
    const { address, mandatory } = this.#method;
    const { exchange, routingKey } = address;
    const addressed = this.#checkProperties(properties, exchange, routingKey);
    const message = new Message(exchange, routingKey, addressed, body, undefined, address.bytes);
    this.#callbacks.onPublish();
    switch (this.#mode.kind) {
      case 'plain':
        this.#store(message, mandatory);
        return;
      case 'tx':
        // It stores at its commit, but what is wrong with a message is an error at once.
        this.#host.virtualHost.checkPublish(message);
        this.#mode.transaction.addPublish(message, mandatory);
        return;
      case 'confirm':
        this.#storeConfirmed(message, mandatory, this.#mode.confirms);
    }
  }

  #storeConfirmed(message: Message, mandatory: boolean, confirms: Confirms): void {
    const { durability } = this.#host;
    const before = durability.appended;
    if (this.#store(message, mandatory) === 'rejected') {
      confirms.refused();
      return;
    }
    // Nothing appended: a transient message, or one nobody wanted. There is nothing to wait for.
    confirms.accepted(durability.appended === before ? 0 : durability.appended);
  }

  #store(message: Message, mandatory: boolean): PublishResult {
    const { counters, virtualHost } = this.#host;
    counters.published++;
    const result = isReply(message.exchange, message.routingKey) ? this.#reply(message) : virtualHost.publish(message);
    if (result !== 'unroutable') counters.routed++;
    else if (mandatory) this.#return(message);
    else counters.unroutableDropped++;
    this.#host.published();
    return result;
  }

  #reply(message: Message): PublishResult {
    this.#host.virtualHost.checkPublish(message);
    return this.#host.replies.deliver(message) ? 'routed' : 'unroutable';
  }

  #return(message: Message): void {
    const { counters, output, frameMax } = this.#host;
    counters.unroutableReturned++;
    const { exchange, routingKey, properties, body } = message;
    const [replyCode, replyText] = REPLY_CODES['no-route'];
    const method = encodeMethod(this.#number, 'basic.return', { replyCode, replyText, exchange, routingKey });
    const at = output.reserve(method.length + contentFramesBytes(properties.length, body.length, frameMax));
    output.block.set(method, at);
    writeContent(output.block, at + method.length, this.#number, properties, body, frameMax);
  }

  /** Returns the properties with the reply address filled in. Whether the message may go there at all is said before what is wrong with it. */
  #checkProperties(properties: Buffer, exchange: string, routingKey: string): Buffer {
    try {
      const addressed = withReplyAddress(properties, this.#callbacks.replyAddress());
      this.#checkUser(properties);
      return addressed;
    } catch (error) {
      this.#host.virtualHost.checkTarget(exchange, routingKey);
      throw error;
    }
  }

  #checkUser(properties: Buffer): void {
    if (!hasProperty(properties, 'userId')) return;
    const claimed = peekProperty(properties, 'userId');
    if (claimed === this.#host.user || this.#host.rights.mayImpersonate) return;
    throw new ChannelError(
      'precondition-failed',
      `user_id property set to '${claimed}' but authenticated user was '${this.#host.user}'`,
    );
  }

  readonly #sendConfirm = (kind: 'ack' | 'nack', upTo: number, count: number): void => {
    const { counters, output } = this.#host;
    if (kind === 'ack') counters.confirmed += count;
    else counters.nacked += count;
    const at = output.reserve(SETTLEMENT_FRAME_BYTES);
    writeSettlement(output.block, at, this.#number, kind === 'ack' ? KEY_ACK : KEY_NACK, upTo, count > 1 ? 1 : 0);
  };
}
