/** Everything the processes are told, after `tocsin.yaml`, the environment and first-run credentials were put together. */
export interface Settings {
  host: string;
  httpPort: number;
  amqpPort: number;
  managementPort: number;
  dataDirectory: string;
  /** Set: no embedded broker is started. Several comma-separated URLs name the nodes of a cluster. */
  brokerUrl: string | undefined;
  /** For `amqps://` broker URLs. Absent: what Node.js trusts, and no certificate of our own. */
  brokerTls?: BrokerTlsFiles;
  /** Set (postgresql://): no SQLite. */
  databaseUrl: string | undefined;
  ingestToken: string;
  adminPassword: string;
  /** 32 bytes; seals secrets in targets and signs notification ids. */
  secretKey: Buffer;
  /** `TOCSIN_LOG_LEVEL`: trace, debug, info, warn, error, fatal or silent. Absent: info. */
  logLevel?: string;
  configuration: Configuration;
}

/** PEM files, as absolute paths. */
export interface BrokerTlsFiles {
  /** Authorities that sign the broker's certificate; absent: those that Node.js knows. */
  caFile?: string | undefined;
  /** Our own certificate and key, where the broker demands one. */
  certFile?: string | undefined;
  keyFile?: string | undefined;
}

/** `tocsin.yaml`, checked, with defaults filled in and `${ENV}` / `file:` resolved. Durations are milliseconds. */
export interface Configuration {
  senders: SenderSettings;
  receivers: Receiver[];
  route: RouteSettings;
  inhibitRules: unknown[];
  resolveTimeoutMs: number;
  dispatchLagMax: number;
  worker: WorkerSettings;
  retentionMs: number;
}

/** Section `broker`, which the broker's own process reads and the service only checks: RabbitMQ's settings in RabbitMQ's words. */
export interface BrokerConfiguration {
  /** The RabbitMQ whose behaviour is followed where versions differ. */
  compat: '3.13' | '4.2' | '4.3';
  /** What a profile would refuse as RabbitMQ does (`deprecated_features.permit.*`), and this broker shall not. */
  permitDeprecated: { transientNonexclQueues: boolean; globalQos: boolean };
  /** How long a delivery may stay unsettled; 0: for ever. Absent: as the profile has it. */
  consumerTimeoutMs?: number | undefined;
  /** Of this process, above which publishers must wait. Absent: the profile's share. */
  vmMemoryHighWatermark?: { share: number } | { bytes: number } | undefined;
  /** Free bytes of the data folder's disk below which publishers must wait. */
  diskFreeLimitBytes: number;
  /** Accounts that may come from this machine only. */
  loopbackUsers: string[];
  heartbeatSeconds: number;
  frameMax: number;
  channelMax: number;
  /** Absent: the profile's. */
  maxMessageBytes?: number | undefined;
  /** Present: a TLS listener is opened. */
  tls?: TlsConfiguration | undefined;
}

/** PEM files, as absolute paths. */
export interface TlsConfiguration {
  certfile: string;
  keyfile: string;
  cacertfile?: string | undefined;
  /** `peer`: a client certificate is asked for and must be signed by an authority in `cacertfile`. */
  verify: 'none' | 'peer';
  /** With `peer`: a client without a certificate is refused. */
  failIfNoPeerCert: boolean;
  /** Address to listen on; absent: TOCSIN_HOST. */
  host?: string | undefined;
}

export interface SenderSettings {
  email?: { url: string; from: string; timeoutMs: number };
  dingtalk?: { baseUrl: string; timeoutMs: number };
  webhook?: { timeoutMs: number; allowPrivateAddresses: boolean };
  /** Senders of later releases are kept as written. */
  [channel: string]: unknown;
}

export interface Receiver {
  name: string;
  targets: ReceiverTarget[];
}

export interface ReceiverTarget {
  channel: string;
  sendResolved: boolean;
  /** As written, without `channel` and `sendResolved`; secrets in clear, in memory only. */
  target: Record<string, unknown>;
}

export interface RouteSettings {
  receiver: string;
  groupBy: string[];
  groupWaitMs: number;
  groupIntervalMs: number;
  repeatIntervalMs: number;
  /** In Alertmanager's syntax, e.g. `severity="critical"`. */
  matchers: string[];
  continue: boolean;
  routes: RouteSettings[];
}

export interface WorkerSettings {
  /** Per notification channel: AMQP channels on its connection, each with its consumer. */
  channels: number;
  consumersPerChannel: number;
  prefetch: number;
}
