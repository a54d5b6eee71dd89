import type { SealedTarget } from './notification.js';
import type { NotificationChannel } from './notification-channel.js';

/** Whom a route tells: targets checked and sealed by the app. Without targets its alerts are recorded and told to nobody. */
export interface DispatchReceiver {
  name: string;
  targets: DispatchTarget[];
}

export interface DispatchTarget {
  channel: NotificationChannel;
  target: SealedTarget;
  /** Computed before sealing. Two targets of one receiver with the same key are one. */
  targetKey: string;
  sendResolved: boolean;
}
