import type { Connection } from './connection/connection.js';
import type { Peer } from './connection/connection-context.js';
import type { Counters } from './counters.js';

export interface ChannelStats {
  number: number;
  consumers: number;
  unacknowledged: number;
  unconfirmed: number;
  /** Limit for consumers started from now on; 0 is unlimited. */
  prefetch: number;
  /** Limit of the channel as a whole. */
  prefetchShared: number;
  mode: 'plain' | 'confirm' | 'tx';
}

export interface ConnectionStats {
  /** "client:port -> broker:port". */
  name: string;
  /** What the client calls itself. */
  clientName: string | undefined;
  clientProperties: Record<string, unknown>;
  user: string;
  virtualHost: string;
  mechanism: string;
  /** Milliseconds since the epoch. */
  connectedAt: number;
  state: 'running' | 'flow' | 'blocked' | 'closing';
  bytesRead: number;
  bytesWritten: number;
  backlogBytes: number;
  frameMax: number;
  channelMax: number;
  heartbeatSeconds: number;
  peer: Peer;
  channels: ChannelStats[];
}

/** A snapshot of the wire side: open connections with their channels, and counters since the start. */
export interface BrokerStats {
  startedAt: number;
  alarm: string | undefined;
  /** Accepted sockets, also those still in their handshake. */
  connectionCount: number;
  connections: ConnectionStats[];
  counters: Readonly<Counters>;
}

export function statsOf(
  connections: ReadonlySet<Connection>,
  counters: Counters,
  startedAt: number,
  alarm: string | undefined,
): BrokerStats {
  return {
    startedAt,
    alarm,
    connectionCount: connections.size,
    connections: [...connections].flatMap((connection) => connectionStats(connection)),
    counters: { ...counters },
  };
}

function connectionStats(connection: Connection): ConnectionStats[] {
  const { open } = connection;
  if (open === undefined) return [];
  const { login, tuning, session } = open;
  return [
    {
      name: connection.name,
      clientName: login.client.connectionName,
      clientProperties: login.client.properties,
      user: login.user,
      virtualHost: session.virtualHost.name,
      mechanism: login.mechanism,
      connectedAt: connection.connectedAt,
      state: connection.flow,
      bytesRead: connection.bytesRead,
      bytesWritten: connection.output.bytesWritten,
      backlogBytes: connection.output.backlogBytes,
      frameMax: tuning.frameMax,
      channelMax: tuning.channelMax,
      heartbeatSeconds: tuning.heartbeat,
      peer: connection.peer,
      channels: [...session.channels].map(({ number, deliveries, publishing }) => ({
        number,
        consumers: deliveries.consumerCount,
        unacknowledged: deliveries.unacked.count,
        unconfirmed: publishing.unconfirmed,
        prefetch: deliveries.prefetch.perConsumer,
        prefetchShared: deliveries.prefetch.shared,
        mode: publishing.mode,
      })),
    },
  ];
}
