import { isNotificationChannel, NOTIFICATION_CHANNELS } from '#dispatch';
import { targetKinds } from './target-kinds.js';

/** What is wrong with a target of `receivers`; for `loadSettings`, which knows no notification channel. */
export function checkTarget(channel: string, target: Record<string, unknown>): { field: string; message: string }[] {
  const kind = isNotificationChannel(channel) ? targetKinds.get(channel) : undefined;
  if (!kind)
    return [{ field: 'channel', message: `'${channel}' is unknown; known: ${NOTIFICATION_CHANNELS.join(', ')}` }];
  const parsed = kind.parse(target);
  return parsed.ok ? [] : parsed.problems;
}
