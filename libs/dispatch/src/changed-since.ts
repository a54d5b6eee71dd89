import type { GroupReason } from './notification.js';

/** What one target of one group was told last, as far as the next flush needs it. */
export interface Told {
  /** Fingerprints it believes to be firing. */
  firing: readonly string[];
  notifiedAt: number;
}

export interface FlushedGroup {
  firing: readonly string[];
  ended: readonly string[];
  sendResolved: boolean;
  repeatIntervalMs: number;
  now: number;
}

export type Verdict =
  /** Tell it: all that fires, and the ends (`resolved`) of what it had been told. */
  | { tell: GroupReason; resolved: string[] }
  /** Nothing to say, but what it believes changed: it is not told of ends. */
  | { tell: 'nothing'; logChanged: boolean };

/**
 * Compares a flush with what the target was told before, in Alertmanager's order: something new, all ended, some ended, time to repeat. The end of an
 * alert that it was never told of is no news to it.
 */
export function changedSince(
  told: Told | undefined,
  { firing, ended, sendResolved, repeatIntervalMs, now }: FlushedGroup,
): Verdict {
  const believed = new Set(told?.firing ?? []);
  const over = ended.filter((fingerprint) => believed.has(fingerprint));
  const resolved = sendResolved ? over : [];

  if (firing.some((fingerprint) => !believed.has(fingerprint))) {
    return { tell: believed.size === 0 ? 'first-notification' : 'new-alerts', resolved };
  }
  if (resolved.length > 0) return { tell: firing.length === 0 ? 'all-resolved' : 'some-resolved', resolved };
  if (told && firing.length > 0 && now >= told.notifiedAt + repeatIntervalMs)
    return { tell: 'repeat-interval', resolved };
  return { tell: 'nothing', logChanged: over.length > 0 };
}
