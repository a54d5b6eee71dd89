import { CodecError, FRAME_BODY, FRAME_HEADER, FRAME_METHOD, methodKey, peekMethodKey } from '#amqp-codec';
import type { Rights } from '../access/rights.js';
import { Channel } from '../channel/channel.js';
import type { ChannelHost, ConnectionView } from '../channel/channel-host.js';
import type { ReplyAddresses } from '../channel/direct-reply.js';
import type { Behaviour } from '../compat.js';
import type { Counters } from '../counters.js';
import { ConnectionError } from '../errors.js';
import type { Durability, Owner, VirtualHost } from '../virtual-host.js';
import { toClose } from './close.js';
import type { Output } from './output.js';

const KEY_CHANNEL_OPEN = methodKey('channel.open');

/** What a session needs of its connection and knows about it. */
export interface SessionHost extends ConnectionView {
  readonly channelMax: number;
  /** Throws when its user may open no further channel. */
  checkNewChannel(): void;
  awaitDurable(): void;
}

/** The channels of an open connection. */
export class Session implements ChannelHost {
  readonly virtualHost: VirtualHost;
  readonly behaviour: Behaviour;
  readonly replies: ReplyAddresses;
  readonly durability: Durability;
  readonly counters: Counters;
  readonly output: Output;
  readonly owner: Owner;
  readonly user: string;
  readonly rights: Rights;
  readonly frameMax: number;
  readonly messageBytesMax: number;
  readonly hearsConsumerCancel: boolean;
  /** Class and number of the method at hand, for the close that may follow. */
  methodKey = 0;
  readonly #host: SessionHost;
  /** By number; at most channelMax. */
  readonly #channels = new Map<number, Channel>();
  #readList: Channel[] = [];
  readonly #awaitingLog = new Set<Channel>();

  constructor(host: SessionHost) {
    this.#host = host;
    this.virtualHost = host.virtualHost;
    this.behaviour = host.behaviour;
    this.replies = host.replies;
    this.durability = host.durability;
    this.counters = host.counters;
    this.output = host.output;
    this.owner = host.owner;
    this.user = host.user;
    this.rights = host.rights;
    this.frameMax = host.frameMax;
    this.messageBytesMax = host.messageBytesMax;
    this.hearsConsumerCancel = host.hearsConsumerCancel;
  }

  get channels(): Iterable<Channel> {
    return this.#channels.values();
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  /** A frame for a channel. What closes the channel is dealt with here; what closes the connection is thrown. */
  onFrame(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    this.methodKey = 0;
    if (type !== FRAME_METHOD && type !== FRAME_HEADER && type !== FRAME_BODY) {
      throw new CodecError('frame', `unknown frame type ${type}`);
    }
    const channel = this.#channels.get(number);
    if (channel === undefined) {
      this.#onFrameOfNoChannel(type, number, bytes, start, end);
      return;
    }
    try {
      channel.onFrame(type, bytes, start, end);
    } catch (error) {
      this.#onError(error, channel);
    }
  }

  /** After the last frame of the bytes at hand. */
  endOfRead(): void {
    const channels = this.#readList;
    if (channels.length === 0) return;
    this.#readList = [];
    for (const channel of channels) {
      channel.isOnReadList = false;
      channel.endOfRead();
    }
  }

  /** A sync is done. Returns whether a channel still waits for another. */
  onDurable(): boolean {
    const waiting = [...this.#awaitingLog];
    this.#awaitingLog.clear();
    for (const channel of waiting) channel.onDurable();
    return this.#awaitingLog.size > 0;
  }

  /** A minute has passed: deliveries that wait too long for their settlement time out. */
  onMinute(): void {
    for (const channel of this.#channels.values()) {
      channel.methodKey = 0;
      try {
        channel.onMinute();
      } catch (error) {
        this.#onError(error, channel);
      }
    }
  }

  /** The client has read what it was sent. */
  onDrain(): void {
    for (const channel of this.#channels.values()) channel.deliveries.wakeConsumers();
  }

  /** The connection ends: consumers go, deliveries return, exclusive queues are deleted. */
  release(): void {
    for (const channel of this.#channels.values()) channel.abandon();
    this.counters.channelsClosed += this.#channels.size;
    this.#channels.clear();
    this.#awaitingLog.clear();
    this.#readList = [];
    this.virtualHost.releaseOwner(this.owner);
  }

  /** Ends the consumers of queues that the user may no longer read. */
  cancelForbidden(): void {
    for (const channel of this.#channels.values()) channel.deliveries.cancelForbidden();
  }

  callAtEndOfRead(channel: Channel): void {
    if (channel.isOnReadList) return;
    channel.isOnReadList = true;
    this.#readList.push(channel);
  }

  awaitDurable(channel: Channel): void {
    this.#awaitingLog.add(channel);
    this.#host.awaitDurable();
  }

  holdIntake(): void {
    this.#host.holdIntake();
  }

  releaseIntake(): void {
    this.#host.releaseIntake();
  }

  published(): void {
    this.#host.published();
  }

  forget(channel: Channel): void {
    if (!this.#channels.delete(channel.number)) return;
    this.#awaitingLog.delete(channel);
    this.counters.channelsClosed++;
  }

  #onFrameOfNoChannel(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    const key = type === FRAME_METHOD ? peekMethodKey(bytes, start, end) : 0;
    this.methodKey = key;
    if (key !== KEY_CHANNEL_OPEN) throw new ConnectionError('channel-error', "expected 'channel.open'");
    if (this.#channels.size >= this.#host.channelMax) {
      this.methodKey = 0;
      throw new ConnectionError(
        'not-allowed',
        `number of channels opened (${this.#channels.size}) has reached the negotiated channel_max (${this.#host.channelMax})`,
      );
    }
    // As RabbitMQ: of limits it says no method.
    this.methodKey = 0;
    this.#host.checkNewChannel();
    this.#channels.set(number, new Channel(number, this));
    this.counters.channelsOpened++;
    this.output.send(number, 'channel.open-ok', {});
  }

  #onError(error: unknown, channel: Channel): void {
    const close = toClose(error, channel.methodKey);
    if (close.scope === 'connection') {
      this.methodKey = channel.methodKey;
      throw error;
    }
    channel.fail(close.args);
  }
}
