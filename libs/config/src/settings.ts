/** Everything the processes are told, after `tocsin.yaml`, the environment and first-run credentials were put together. */
export interface Settings {
  host: string;
  httpPort: number;
  amqpPort: number;
  managementPort: number;
  dataDirectory: string;
  /** Set: no embedded broker is started. Several comma-separated URLs name the nodes of a cluster. */
  brokerUrl: string | undefined;
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
