import type { Alert } from './alert.js';

/** An alert has ended once its end was seen to be past: as posted, or by the clock at a flush. What is only overdue has not ended yet. */
export function hasEnded(alert: Alert): boolean {
  return alert.endsAt <= alert.updatedAt;
}

/** The alert as of `now`: overdue becomes ended. The same object when nothing changes. */
export function asOf(alert: Alert, now: number): Alert {
  return !hasEnded(alert) && alert.endsAt <= now ? { ...alert, updatedAt: now } : alert;
}

/**
 * A known alert and the same alert posted again, by Alertmanager's rules: when their times overlap the earliest start is kept, a real end that is
 * later wins over a time-out, everything else comes from the newer. Without an overlap, after an end, the posted one begins anew.
 */
export function mergeAlerts(known: Alert, posted: Alert): Alert {
  if (hasEnded(known) && !overlap(known, posted)) return posted;

  return { ...posted, startsAt: Math.min(known.startsAt, posted.startsAt), ...endOf(known, posted) };
}

function endOf(known: Alert, posted: Alert): Pick<Alert, 'endsAt' | 'endsAtIsTimeout'> {
  const keepsKnown = hasEnded(posted)
    ? hasEnded(known) && known.endsAt > posted.endsAt
    : !known.endsAtIsTimeout && known.endsAt > posted.endsAt;
  const { endsAt, endsAtIsTimeout } = keepsKnown ? known : posted;
  return { endsAt, endsAtIsTimeout };
}

function overlap(known: Alert, posted: Alert): boolean {
  return isInside(posted.endsAt, known) || isInside(posted.startsAt, known);
}

function isInside(instant: number, { startsAt, endsAt }: Alert): boolean {
  return instant > startsAt && instant < endsAt;
}

export type AlertChange = 'new' | 'fired-again' | 'resolved' | 'updated' | 'refreshed';

/**
 * What a post changed. `refreshed` is kept in memory only: after a restart every firing alert gets one resolve time-out of grace, so an end that the
 * grace covers need not be on disk. Everything else is written.
 */
export function changeOf(known: Alert | undefined, merged: Alert, resolveTimeoutMs: number): AlertChange {
  if (!known) return 'new';
  if (hasEnded(known) !== hasEnded(merged)) return hasEnded(merged) ? 'resolved' : 'fired-again';

  const covered = merged.updatedAt + resolveTimeoutMs;
  const endMatters = known.endsAt !== merged.endsAt && Math.max(known.endsAt, merged.endsAt) > covered;
  const isSame =
    known.startsAt === merged.startsAt &&
    known.generatorURL === merged.generatorURL &&
    known.endsAtIsTimeout === merged.endsAtIsTimeout &&
    haveSameEntries(known.annotations, merged.annotations);
  return isSame && !endMatters ? 'refreshed' : 'updated';
}

function haveSameEntries(left: Record<string, string>, right: Record<string, string>): boolean {
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name]);
}
