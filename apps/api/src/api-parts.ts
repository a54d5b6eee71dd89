import type { Settings } from '#config';
import type { NotificationChannel, ReviewStore, TargetKind } from '#dispatch';
import type { Messaging } from '#messaging';
import type { Health, Logger, Metrics } from '#telemetry';

/** What the api needs of the broker; `Messaging` is it. */
export type ApiMessaging = Pick<Messaging, 'publish' | 'request' | 'queueDepth' | 'isConnected' | 'isBlocked'>;

/** Everything the api is made of. Whoever builds it owns and closes messaging and review; the api only uses them. */
export interface ApiParts {
  settings: Settings;
  messaging: ApiMessaging;
  review: ReviewStore;
  targetKinds: ReadonlyMap<NotificationChannel, TargetKind>;
  logger: Logger;
  metrics: Metrics;
  health: Health;
  /** Milliseconds since the epoch; default: the system's clock. */
  now?: () => number;
}

/** Injection token of `ApiParts`. */
export const API_PARTS = Symbol('ApiParts');
