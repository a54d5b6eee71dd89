import type { QueueSettings } from './arguments.js';
import type { QueueIndex } from './queue-index.js';

/** x-delivery-limit: counts a failed delivery of a quorum queue. True when it was one too many and the message must go. */
export function failsForGood({ type, deliveryLimit }: QueueSettings, level: QueueIndex, ordinal: number): boolean {
  if (type !== 'quorum') return false;
  const failures = level.addFailure(ordinal);
  return deliveryLimit !== undefined && failures > deliveryLimit;
}
