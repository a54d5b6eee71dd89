import { createHash } from 'node:crypto';
import type { DeadReason, NewDeadLetter } from '#dispatch';
import { type Delivery, HEADERS, UNPARSEABLE_KEY } from '#messaging';
import { parseEnvelope } from '../attempts/taken-attempt.js';

const DEAD_REASONS: Record<DeadReason, true> = {
  recipient: true,
  content: true,
  refused: true,
  configuration: true,
  exhausted: true,
  'no-answer': true,
  unparseable: true,
  'digest-dead': true,
};

/** The row to review for a message of queue `dead`. Equal messages have equal ids, so a redelivered one changes nothing. */
export function deadLetterRow(delivery: Delivery, now: number): NewDeadLetter {
  const parsed = delivery.routingKey === UNPARSEABLE_KEY ? undefined : parseEnvelope(delivery.body);
  const failure = failureOf(delivery, now);
  if (!parsed?.ok) return { ...failure, ...rawPart(delivery), reason: 'unparseable' };

  const { id, channel, targetKey } = parsed.envelope;
  return {
    ...failure,
    id: `${id}/${failure.attempts}`,
    notificationId: id,
    channel,
    targetKey,
    payload: delivery.body.toString('utf8'),
  };
}

function rawPart({ body }: Delivery): Pick<NewDeadLetter, 'id' | 'payload'> {
  return { id: `raw/${createHash('sha256').update(body).digest('hex')}`, payload: body.toString('base64') };
}

function failureOf(
  { headers }: Delivery,
  now: number,
): Pick<NewDeadLetter, 'reason' | 'detail' | 'attempts' | 'failedAt'> {
  const reason = headers[HEADERS.reason];
  const attempts = headers[HEADERS.attempt];
  const failedAt = Date.parse(String(headers[HEADERS.failedAt]));
  const source = headers[HEADERS.source];
  const detail = [headers[HEADERS.detail], typeof source === 'string' ? `(from ${source})` : undefined];
  return {
    reason: isDeadReason(reason) ? reason : 'unparseable',
    detail: detail
      .filter((part) => typeof part === 'string' && part !== '')
      .join(' ')
      .replaceAll('\0', ''),
    attempts: typeof attempts === 'number' && Number.isSafeInteger(attempts) ? attempts : 0,
    failedAt: Number.isNaN(failedAt) ? now : failedAt,
  };
}

function isDeadReason(reason: unknown): reason is DeadReason {
  return typeof reason === 'string' && Object.hasOwn(DEAD_REASONS, reason);
}
