/** One alert as a monitoring system posts it: the item of `POST /api/v1/alerts` and of an AMQP message on exchange `alerts`. */
export interface PostedAlert {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  /** RFC 3339. */
  startsAt?: string;
  endsAt?: string;
  generatorURL?: string;
}

/** An alert merged by fingerprint. Instants are milliseconds since the epoch. */
export interface Alert {
  /** FNV-1a 64 of the sorted labels, 16 hex digits, as Alertmanager computes it. */
  fingerprint: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: number;
  /** In the past: resolved. */
  endsAt: number;
  /** True when `endsAt` is only receivedAt + resolveTimeout, which a real end time replaces. */
  endsAtIsTimeout: boolean;
  generatorURL: string;
  updatedAt: number;
}
