import type { Outcome } from '#dispatch';
import { failedExchange } from '../http/failed-exchange.js';
import type { Exchange } from '../http/post.js';
import { retryAfterMs } from '../http/retry-after.js';
import { providerMessage } from '../wording/provider-message.js';

/** A robot over its 20 messages a minute is blocked for ten minutes. */
const BLOCK_MS = 600_000;
/** A gateway's 429 without Retry-After. */
const GATEWAY_BLOCK_MS = 60_000;

type Verdict =
  | { outcome: 'accepted' }
  | { outcome: 'retryable'; reason: 'provider-busy' | 'provider-fault' }
  | { outcome: 'rate-limited'; blockedForMs: number }
  | { outcome: 'permanent'; reason: 'content' | 'refused' }
  | { outcome: 'configuration'; reason: 'configuration' };

const BUSY: Verdict = { outcome: 'retryable', reason: 'provider-busy' };
const FAULT: Verdict = { outcome: 'retryable', reason: 'provider-fault' };
const BLOCKED: Verdict = { outcome: 'rate-limited', blockedForMs: BLOCK_MS };
const CONTENT: Verdict = { outcome: 'permanent', reason: 'content' };
const REFUSED: Verdict = { outcome: 'permanent', reason: 'refused' };
const CONFIGURATION: Verdict = { outcome: 'configuration', reason: 'configuration' };

/** DingTalk's errcode, as its pages for custom robots list them. */
export const ERRCODES: ReadonlyMap<number, Verdict> = new Map<number, Verdict>([
  [0, { outcome: 'accepted' }],
  [-1, BUSY],
  [130101, BLOCKED], // send too fast, exceed 20 times per minute
  [410100, BLOCKED], // throttled
  [310000, CONFIGURATION], // sign, keyword or address check; an invalid timestamp: see below
  [300001, CONFIGURATION], // token does not exist
  [300005, CONFIGURATION],
  [400101, CONFIGURATION],
  [400102, CONFIGURATION], // robot disabled
  [400106, CONFIGURATION], // robot missing
  [400013, CONFIGURATION], // group disbanded
  [40035, REFUSED], // missing or invalid parameter
  [43002, REFUSED], // must be POST
  [43004, REFUSED], // Content-Type
  [400105, REFUSED], // msgtype not supported
  [430101, CONTENT], // unsafe link
  [430102, CONTENT], // unsafe text
  [430103, CONTENT], // unsafe image
  [430104, CONTENT], // unsafe content
  [460101, CONTENT], // too long
]);

/** @param secrets never to be seen in an answer's record */
export function classify(exchange: Exchange, attempt: number, secrets: readonly (string | undefined)[]): Outcome {
  if (exchange.ended !== 'answered') return failedExchange(exchange);

  const answer = parseAnswer(exchange.body);
  if (exchange.status !== 200 || !answer) return withoutErrcode(exchange, secrets);

  const said = { providerCode: String(answer.errcode), providerMessage: providerMessage(answer.errmsg, secrets) };
  return { ...verdictOn(answer, attempt), ...said };
}

function verdictOn(answer: RobotAnswer, attempt: number): Verdict {
  const isClockProblem = answer.errcode === 310000 && /timestamp/i.test(answer.errmsg);
  // The next attempt signs with a new time; a clock that is still wrong then needs a person.
  if (isClockProblem && attempt <= 1) return FAULT;

  return ERRCODES.get(answer.errcode) ?? FAULT;
}

/** DingTalk itself always answers 200 and JSON: this is something in between, a proxy, a gateway or a wrong baseUrl. */
function withoutErrcode(
  exchange: Extract<Exchange, { ended: 'answered' }>,
  secrets: readonly (string | undefined)[],
): Outcome {
  const { status, headers, body } = exchange;
  const said = { providerCode: `http-${status}`, providerMessage: providerMessage(body, secrets) };
  if (status === 429) {
    const blockedForMs = retryAfterMs(headers['retry-after'], Date.now()) ?? GATEWAY_BLOCK_MS;
    return { outcome: 'rate-limited', blockedForMs, ...said };
  }
  if (status >= 500) return { ...FAULT, ...said };
  if (status >= 300) return { ...CONFIGURATION, ...said };
  // Success without a readable errcode: taken or not, nobody knows.
  return { outcome: 'unknown', reason: 'no-answer', ...said };
}

interface RobotAnswer {
  errcode: number;
  errmsg: string;
}

function parseAnswer(body: string): RobotAnswer | undefined {
  try {
    const answer: unknown = JSON.parse(body);
    if (typeof answer !== 'object' || answer === null || !('errcode' in answer)) return undefined;

    const errmsg = 'errmsg' in answer ? String(answer.errmsg) : '';
    return Number.isInteger(answer.errcode) ? { errcode: answer.errcode as number, errmsg } : undefined;
  } catch {
    // No JSON: the caller judges by the status.
    return undefined;
  }
}
