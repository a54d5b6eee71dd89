/** A broker that dies more often than this within a minute is not restarted again: the service ends instead of living half. */
export const RESTARTS_PER_MINUTE_MAX = 5;

const MINUTE_MS = 60_000;
const FIRST_DELAY_MS = 200;

export type RestartDecision = { restart: 'after'; delayMs: number } | { restart: 'never' };

/** @param deaths instants (ms) of the deaths so far, the newest one included */
export function decideRestart(deaths: readonly number[], now: number): RestartDecision {
  const recent = deaths.filter((at) => at > now - MINUTE_MS).length;
  if (recent > RESTARTS_PER_MINUTE_MAX) return { restart: 'never' };
  return { restart: 'after', delayMs: FIRST_DELAY_MS * 2 ** (recent - 1) };
}
