const UNIT_MS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** Prometheus' form: units from the largest to the smallest, each at most once. */
const DURATION = /^(?=\d)(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** Setting a timer further ahead than this many milliseconds would overflow a date; about 285 years. */
const DURATION_MS_MAX = 9_000_000_000_000;

/** Milliseconds of `5m`, `1h30m`, `0s`; `undefined` when it is no duration. */
export function parseDuration(text: string): number | undefined {
  const parts = DURATION.exec(text);
  if (!parts) return undefined;
  const ms = Object.values(UNIT_MS).reduce((sum, unitMs, index) => sum + Number(parts[index + 1] ?? 0) * unitMs, 0);
  return ms <= DURATION_MS_MAX ? ms : undefined;
}
