/** The retry ladder: the n-th failure since a notification was new or last replayed takes the n-th rung; past the last, the notification is a dead letter. */
export const RETRY_LADDER = [
  { level: '5s', delayMs: 5_000 },
  { level: '30s', delayMs: 30_000 },
  { level: '2m', delayMs: 120_000 },
  { level: '10m', delayMs: 600_000 },
  { level: '1h', delayMs: 3_600_000 },
] as const;

export type RetryLevel = (typeof RETRY_LADDER)[number]['level'];
