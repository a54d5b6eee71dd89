import type { Outcome } from '#dispatch';
import { failedExchange } from '../http/failed-exchange.js';
import type { Exchange } from '../http/post.js';
import { retryAfterMs } from '../http/retry-after.js';
import { providerMessage } from '../wording/provider-message.js';

/** A 429 without Retry-After. */
const BLOCK_MS = 60_000;

type Verdict =
  | { outcome: 'accepted' }
  | { outcome: 'retryable'; reason: 'provider-busy' | 'provider-fault'; afterMs?: number }
  | { outcome: 'rate-limited'; blockedForMs: number }
  | { outcome: 'permanent'; reason: 'refused' }
  | { outcome: 'configuration'; reason: 'configuration' };

/** Standard Webhooks, "HTTP status codes", and RFC 9110 15. The first row that fits decides. */
const STATUSES: { from: number; to?: number; verdict: (afterMs: number | undefined) => Verdict }[] = [
  { from: 200, to: 299, verdict: () => ({ outcome: 'accepted' }) },
  // Not followed: it could lead to a private address, and a moved endpoint needs a new target.
  { from: 300, to: 399, verdict: () => ({ outcome: 'configuration', reason: 'configuration' }) },
  { from: 408, verdict: (afterMs) => ({ outcome: 'retryable', reason: 'provider-busy', afterMs }) },
  // Gone: the receiver asks never to be called again.
  { from: 410, verdict: () => ({ outcome: 'configuration', reason: 'configuration' }) },
  { from: 425, verdict: (afterMs) => ({ outcome: 'retryable', reason: 'provider-busy', afterMs }) },
  { from: 429, verdict: (afterMs) => ({ outcome: 'rate-limited', blockedForMs: afterMs ?? BLOCK_MS }) },
  { from: 400, to: 499, verdict: () => ({ outcome: 'permanent', reason: 'refused' }) },
  { from: 502, to: 504, verdict: (afterMs) => ({ outcome: 'retryable', reason: 'provider-busy', afterMs }) },
  { from: 500, to: 599, verdict: (afterMs) => ({ outcome: 'retryable', reason: 'provider-fault', afterMs }) },
];

/** A status outside all classes. */
const FAULT: Verdict = { outcome: 'retryable', reason: 'provider-fault' };

/** The status alone decides; of the body only its beginning is kept. @param secrets never to be seen in an answer's record */
export function classify(exchange: Exchange, secrets: readonly (string | undefined)[], now: number): Outcome {
  if (exchange.ended !== 'answered') return failedExchange(exchange);

  const { status, headers, body } = exchange;
  const row = STATUSES.find(({ from, to }) => status >= from && status <= (to ?? from));
  const verdict = row?.verdict(retryAfterMs(headers['retry-after'], now)) ?? FAULT;
  return { ...verdict, providerCode: String(status), providerMessage: providerMessage(body, secrets) };
}
