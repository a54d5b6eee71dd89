import { type DeadReason, RETRY_LADDER, type RetryLevel } from '#dispatch';
import { EXCHANGES, HEADERS, notifyQueue, type OutgoingMessage, UNPARSEABLE_KEY } from '#messaging';
import type { TakenAttempt } from './taken-attempt.js';

/** A header table has 64 KiB for everything; a provider's page of HTML must not break the dead letter that quotes it. */
const DETAIL_CHARACTERS_MAX = 1_000;

/** Back through the waiting queue of the rung that is at least `delayMs` long. */
export function retryMessage(taken: TakenAttempt, attempt: number, delayMs: number): OutgoingMessage {
  return {
    exchange: EXCHANGES.retry.name,
    routingKey: taken.envelope.channel,
    messageId: `${taken.envelope.id}/${attempt}`,
    headers: { [HEADERS.attempt]: attempt, [HEADERS.level]: levelFor(delayMs) },
    body: taken.body,
  };
}

/** Given up: the envelope as it is, secrets sealed, with why. */
export function deadMessage(taken: TakenAttempt, reason: DeadReason, detail: string, at: number): OutgoingMessage {
  const { envelope, attempt, key, body } = taken;
  return {
    exchange: EXCHANGES.dead.name,
    routingKey: envelope.channel,
    messageId: key,
    headers: deadHeaders(reason, detail, attempt, at, notifyQueue(envelope.channel)),
    body,
  };
}

/** What cannot be read, or not be stored, travels as it came. */
export function unreadableMessage(body: Buffer, source: string, detail: string, at: number): OutgoingMessage {
  return {
    exchange: EXCHANGES.dead.name,
    routingKey: UNPARSEABLE_KEY,
    contentType: 'application/octet-stream',
    headers: deadHeaders('unparseable', detail, 0, at, source),
    body,
  };
}

export function levelFor(delayMs: number): RetryLevel {
  const rung = RETRY_LADDER.find((candidate) => candidate.delayMs >= delayMs) ?? RETRY_LADDER.at(-1);
  return (rung as (typeof RETRY_LADDER)[number]).level;
}

function deadHeaders(reason: DeadReason, detail: string, attempt: number, at: number, source: string) {
  return {
    [HEADERS.reason]: reason,
    [HEADERS.detail]: detail.slice(0, DETAIL_CHARACTERS_MAX),
    [HEADERS.attempt]: attempt,
    [HEADERS.failedAt]: new Date(at).toISOString(),
    [HEADERS.source]: source,
  };
}
