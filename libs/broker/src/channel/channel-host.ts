import type { Rights } from '../access/rights.js';
import type { Behaviour } from '../compat.js';
import type { Output } from '../connection/output.js';
import type { Counters } from '../counters.js';
import type { Durability, Owner, VirtualHost } from '../virtual-host.js';
import type { Channel } from './channel.js';
import type { ReplyAddresses } from './direct-reply.js';

/** What is known of an open connection wherever its channels work, and what they may ask of it. */
export interface ConnectionView {
  readonly virtualHost: VirtualHost;
  /** How RabbitMQ's versions differ. */
  readonly behaviour: Behaviour;
  /** Of the virtual host. */
  readonly replies: ReplyAddresses;
  readonly durability: Durability;
  readonly counters: Counters;
  readonly output: Output;
  readonly owner: Owner;
  /** The login name. */
  readonly user: string;
  readonly rights: Rights;
  /** As negotiated. */
  readonly frameMax: number;
  readonly messageBytesMax: number;
  readonly hearsConsumerCancel: boolean;
  /** A request's answer comes later: nothing more is read until `release`. */
  holdIntake(): void;
  releaseIntake(): void;
  /** Something was published: a moment to look at flow control. */
  published(): void;
}

/** What a channel needs of its connection. */
export interface ChannelHost extends ConnectionView {
  /** Calls `endOfRead` of the channel when the bytes at hand are read. */
  callAtEndOfRead(channel: Channel): void;
  /** Calls `onDurable` of the channel after the next sync. */
  awaitDurable(channel: Channel): void;
  /** The channel is done; its number is free. */
  forget(channel: Channel): void;
}
