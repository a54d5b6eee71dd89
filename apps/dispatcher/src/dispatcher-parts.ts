import type { Settings } from '#config';
import type { DispatcherStore, NotificationChannel, TargetKind } from '#dispatch';
import type {
  ConsumeOptions,
  Delivery,
  MessagingLogger,
  OutgoingMessage,
  PublishResult,
  Subscription,
} from '#messaging';
import type { Metrics } from '#telemetry';

/** What the dispatcher is given. Closed by who made it, after the dispatcher has stopped. */
export interface DispatcherParts {
  settings: Pick<Settings, 'configuration' | 'secretKey'>;
  store: DispatcherStore;
  messaging: DispatcherMessaging;
  targetKinds: ReadonlyMap<NotificationChannel, TargetKind>;
  logger: MessagingLogger;
  metrics: Pick<Metrics, 'add' | 'set' | 'observe'>;
  clock?: Clock;
}

/** What the dispatcher uses of `Messaging`. */
export interface DispatcherMessaging {
  consume(queue: string, options: ConsumeOptions): Pick<Subscription, 'pause' | 'resume'>;
  publish(message: OutgoingMessage): Promise<PublishResult>;
  reply(delivery: Delivery, body: Buffer | string): Promise<void>;
}

/** Time, so that a test moves it by hand. Timers are cleared by what their setter answers. */
export interface Clock {
  now(): number;
  after(ms: number, then: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};
