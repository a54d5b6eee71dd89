import type { QueueSettings } from './arguments.js';
import type { PriorityLevels } from './priority-levels.js';

/** x-max-length and x-max-length-bytes: whether `more` messages of `moreBytes` together would pass a limit. Only ready messages count. */
export function isAtLimit(
  { maxLength, maxLengthBytes }: QueueSettings,
  levels: PriorityLevels,
  more: number,
  moreBytes: number,
): boolean {
  if (maxLength !== undefined && levels.readyCount + more > maxLength) return true;
  return maxLengthBytes !== undefined && levels.readyBytes + moreBytes > maxLengthBytes;
}
