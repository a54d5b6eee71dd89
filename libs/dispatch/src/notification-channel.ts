/** The built-in notification channels. Each is always bound on the broker, whether a sender is configured for it or not. */
export const NOTIFICATION_CHANNELS = ['email', 'sms', 'voice', 'wecom', 'wechat', 'dingtalk', 'webhook'] as const;

export type NotificationChannel = (typeof NOTIFICATION_CHANNELS)[number];

export function isNotificationChannel(name: unknown): name is NotificationChannel {
  return (NOTIFICATION_CHANNELS as readonly unknown[]).includes(name);
}
