/** What the management API shows. Handed in by the process, so that the pages know neither engine nor wire. */
export interface BrokerStatus {
  queues(): QueueStatus[];
  connections(): ConnectionStatus[];
  totals(): { connections: number; channels: number; consumers: number; exchanges: number; bindings: number };
  /** Counters that only grow, by RabbitMQ's name without prefix, e.g. `messages_received_total`. */
  counters(): Record<string, number>;
  recovery(): RecoveryStatus;
  isLowOnDisk(): boolean;
  log(): { segments: number; totalBytes: number; liveBytes: number; syncs: number };
  /** Why nothing is confirmed any more; `undefined` while all is well. */
  failure(): string | undefined;
}

/** What was found wrong with the log's files, and what was done about it. */
export interface RecoveryStatus {
  durationMs: number;
  segments: number;
  messages: number;
  bytesLost: number;
  bytesCut: number;
  findingsTotal: number;
  counts: { letter: string; action: string; count: number }[];
  findings: readonly {
    letter: string;
    file: string;
    offset: number;
    bytes: number;
    says: string;
    action: string;
    found: 'start' | 'running';
  }[];
}

/** An open connection; times in milliseconds since the epoch. */
export interface ConnectionStatus {
  name: string;
  clientName: string | undefined;
  clientProperties: Record<string, unknown>;
  state: string;
  user: string;
  virtualHost: string;
  mechanism: string;
  connectedAt: number;
  peer: {
    remoteAddress: string;
    remotePort: number;
    localAddress: string;
    localPort: number;
    /** Absent: not encrypted. */
    tls?: { protocol: string; cipher: string; peerSubject: string | undefined; peerIssuer: string | undefined };
  };
  channels: readonly object[];
  channelMax: number;
  frameMax: number;
  heartbeatSeconds: number;
  bytesRead: number;
  bytesWritten: number;
  backlogBytes: number;
}

export interface QueueStatus {
  name: string;
  virtualHost: string;
  ready: number;
  unacked: number;
  consumers: number;
  bytes: number;
}

/** Nest's token for it. */
export const BROKER_STATUS = Symbol('BrokerStatus');
