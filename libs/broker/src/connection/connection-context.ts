import type { ReplyAddresses } from '../channel/direct-reply.js';
import type { Behaviour } from '../compat.js';
import type { ConsumerBias } from '../consumer-bias.js';
import type { Counters } from '../counters.js';
import type { DurabilityWatch } from '../durability-watch.js';
import type { BrokerLog } from '../log.js';
import type { TlsDetails } from '../tls-listener.js';
import type { VirtualHost } from '../virtual-host.js';
import type { Connection } from './connection.js';
import type { Tuning } from './handshake.js';
import type { Census } from './limits.js';
import type { Users } from './users.js';

/** A virtual host with what the wire side keeps for it. */
export interface ServedVirtualHost {
  readonly virtualHost: VirtualHost;
  readonly replies: ReplyAddresses;
}

/** What all connections of a broker share. */
export interface ConnectionContext {
  readonly tuning: Tuning;
  readonly behaviour: Behaviour;
  readonly clusterName: string;
  readonly messageBytesMax: number;
  readonly users: Users;
  readonly watch: DurabilityWatch;
  readonly consumerBias: ConsumerBias;
  readonly counters: Counters;
  readonly log: BrokerLog;
  readonly census: Census;
  findVirtualHost(name: string): ServedVirtualHost | undefined;
  /** Why publishers must wait (memory, disk), undefined when they need not. */
  readonly alarm: string | undefined;
  onClosed(connection: Connection): void;
}

/** Both ends of the TCP connection, for logs and the management page. */
export interface Peer {
  remoteAddress: string;
  remotePort: number;
  localAddress: string;
  localPort: number;
  /** Absent: not encrypted. */
  tls?: TlsDetails;
}
