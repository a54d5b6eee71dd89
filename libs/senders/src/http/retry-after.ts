/** Header Retry-After (RFC 9110 10.2.3: seconds or a date) in milliseconds, at most an hour; `undefined` when absent or unreadable. */
export function retryAfterMs(header: unknown, now: number): number | undefined {
  if (typeof header !== 'string' || header.trim() === '') return undefined;

  const text = header.trim();
  const delayMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  if (Number.isNaN(delayMs)) return undefined;
  return Math.min(Math.max(delayMs, 0), RETRY_AFTER_MS_MAX);
}

/** A longer wish would outlive the notification; the ladder's last rung is an hour too. */
const RETRY_AFTER_MS_MAX = 3_600_000;
