import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import {
  createNotificationId,
  type Envelope,
  idFromKey,
  NOTIFICATION_CHANNELS,
  NOTIFICATION_ID_RANDOM_BYTES,
  SEVERITIES,
  sealTarget,
} from '#dispatch';
import type { ApiParts } from '../api-parts.js';
import type { FieldProblem } from '../problem/problem.js';

/** UTF-8 bytes of one notification's text. */
export const TEXT_BYTES_MAX = 256 * 1024;
const SUBJECT_CHARACTERS_MAX = 1_000;
const IDEMPOTENCY_KEY_CHARACTERS_MAX = 200;

const notificationSchema = z.strictObject(
  {
    channel: z.enum(NOTIFICATION_CHANNELS, {
      error: ({ input }) =>
        typeof input === 'string'
          ? `'${input.slice(0, 100)}' is unknown; known: ${NOTIFICATION_CHANNELS.join(', ')}`
          : `must be one of ${NOTIFICATION_CHANNELS.join(', ')}`,
    }),
    target: z.record(z.string(), z.unknown(), {
      error: 'must be an object, as a target in receivers without its channel',
    }),
    subject: z
      .string({ error: 'must be a text' })
      .max(SUBJECT_CHARACTERS_MAX, { error: `has at most ${SUBJECT_CHARACTERS_MAX} characters` })
      .optional(),
    text: z
      .string({ error: ({ input }) => (input === undefined ? 'is missing' : 'must be a text') })
      .min(1, { error: 'must not be empty' })
      .refine((text) => Buffer.byteLength(text) <= TEXT_BYTES_MAX, { error: `has at most ${TEXT_BYTES_MAX} bytes` }),
    severity: z.enum(SEVERITIES, { error: `must be one of ${SEVERITIES.join(', ')}` }).default('info'),
    idempotencyKey: z
      .string({ error: 'must be a text' })
      .min(1, { error: 'must not be empty' })
      .max(IDEMPOTENCY_KEY_CHARACTERS_MAX, { error: `has at most ${IDEMPOTENCY_KEY_CHARACTERS_MAX} characters` })
      .optional(),
  },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be an object with channel, target and text' : undefined) },
);

export interface Poster {
  /** Tells posters apart: the same idempotency key of two of them names two notifications. */
  token: string;
  /** Milliseconds. */
  now: number;
}

/** Checks every item; with a problem anywhere there are no envelopes. Secrets are sealed in what is returned. */
export function parseNotifications(
  items: readonly unknown[],
  poster: Poster,
  parts: Pick<ApiParts, 'targetKinds' | 'settings'>,
): { envelopes: Envelope[]; errors: FieldProblem[] } {
  const envelopes: Envelope[] = [];
  const errors: FieldProblem[] = [];
  const keys = new Map<string, number>();
  for (const [index, item] of items.entries()) {
    const parsed = notificationSchema.safeParse(item);
    if (!parsed.success) {
      errors.push(...parsed.error.issues.flatMap((issue) => fieldProblems(issue, index)));
      continue;
    }
    const { idempotencyKey } = parsed.data;
    const earlier = idempotencyKey === undefined ? undefined : keys.get(idempotencyKey);
    if (earlier !== undefined) errors.push({ index, field: 'idempotencyKey', message: `is that of item ${earlier}` });
    if (idempotencyKey !== undefined) keys.set(idempotencyKey, index);

    const envelope = toEnvelope(parsed.data, poster, parts);
    if ('problems' in envelope) {
      errors.push(
        ...envelope.problems.map(({ field, message }) => ({
          index,
          field: field === '' ? 'target' : `target.${field}`,
          message,
        })),
      );
    } else envelopes.push(envelope);
  }
  return errors.length > 0 ? { envelopes: [], errors } : { envelopes, errors };
}

function toEnvelope(
  posted: z.output<typeof notificationSchema>,
  { token, now }: Poster,
  { targetKinds, settings }: Pick<ApiParts, 'targetKinds' | 'settings'>,
): Envelope | { problems: { field: string; message: string }[] } {
  const { channel, subject, text, severity, idempotencyKey } = posted;
  const kind = targetKinds.get(channel);
  if (!kind) throw new Error(`notification channel '${channel}' has no target kind`);

  const parsed = kind.parse(posted.target);
  if (!parsed.ok) return { problems: parsed.problems };

  const id =
    idempotencyKey === undefined
      ? createNotificationId(settings.secretKey, { time: now, random: randomBytes(NOTIFICATION_ID_RANDOM_BYTES) })
      : idFromKey(settings.secretKey, token, idempotencyKey);
  return {
    version: 1,
    id,
    channel,
    target: sealTarget(parsed.target, kind.secretFields, settings.secretKey),
    targetKey: kind.key(parsed.target),
    severity,
    createdAt: new Date(now).toISOString(),
    content: { kind: 'text', ...(subject !== undefined && { subject }), text },
  };
}

function fieldProblems(issue: z.core.$ZodIssue, index: number): FieldProblem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(notificationSchema.shape).join(', ');
    return issue.keys.map((field) => ({ index, field, message: `is unknown; known: ${known}` }));
  }
  return [{ index, field: issue.path.join('.'), message: issue.message }];
}
