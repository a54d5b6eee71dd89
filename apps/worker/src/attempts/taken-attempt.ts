import { z } from 'zod';
import {
  type Budget,
  type Envelope,
  NOTIFICATION_CHANNELS,
  type NotificationChannel,
  openTarget,
  SEVERITIES,
  type TargetKind,
} from '#dispatch';
import { type Delivery, HEADERS } from '#messaging';

const ID_CHARACTERS_MAX = 120;

/** One attempt as a delivery asks for it. */
export interface TakenAttempt {
  /** `<notification id>/<attempt>`. */
  key: string;
  envelope: Envelope;
  /** From 1. */
  attempt: number;
  kind: TargetKind;
  opened: OpenedTarget;
  redelivered: boolean;
  released: boolean;
  /** As it came, to be published again unchanged. */
  body: Buffer;
}

/** The target with its secrets in clear, or why that failed (an operator must act). */
export type OpenedTarget =
  | { ok: true; target: Record<string, unknown>; budgets: Budget[] }
  | { ok: false; problem: string };

export type ParsedDelivery = { ok: true; taken: TakenAttempt } | { ok: false; problem: string };

const strings = z.record(z.string(), z.string());
const alert = z.object({
  status: z.enum(['firing', 'resolved']),
  fingerprint: z.string(),
  labels: strings,
  annotations: strings,
  startsAt: z.string(),
  endsAt: z.string().optional(),
  generatorURL: z.string(),
});
const content = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('text'), subject: z.string().optional(), text: z.string() }),
  z.object({
    kind: z.literal('group'),
    status: z.enum(['firing', 'resolved']),
    reason: z.enum(['first-notification', 'new-alerts', 'some-resolved', 'all-resolved', 'repeat-interval']),
    receiver: z.string(),
    groupKey: z.string(),
    groupLabels: strings,
    commonLabels: strings,
    commonAnnotations: strings,
    alerts: z.array(alert),
  }),
  z.object({
    kind: z.literal('digest'),
    covers: z.array(z.object({ id: z.string(), severity: z.enum(SEVERITIES), title: z.string() })),
  }),
]);
const envelopeSchema: z.ZodType<Envelope> = z.object({
  version: z.literal(1),
  id: z.string().min(1).max(ID_CHARACTERS_MAX),
  channel: z.enum(NOTIFICATION_CHANNELS),
  target: z.record(z.string(), z.unknown()),
  targetKey: z.string().min(1),
  severity: z.enum(SEVERITIES),
  createdAt: z.iso.datetime({ offset: true }),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  content,
});

/** Reads a delivery of `notify.<channel>`. What cannot be read is named in `problem`. */
export function parseDelivery(
  delivery: Delivery,
  channel: NotificationChannel,
  kinds: ReadonlyMap<NotificationChannel, TargetKind>,
  secretKey: Uint8Array,
): ParsedDelivery {
  const parsed = parseEnvelope(delivery.body);
  if (!parsed.ok) return parsed;

  const { envelope } = parsed;
  if (envelope.channel !== channel) {
    return { ok: false, problem: `a notification for '${envelope.channel}' came by the queue of '${channel}'` };
  }
  const attempt = delivery.headers[HEADERS.attempt] ?? 1;
  if (typeof attempt !== 'number' || !Number.isSafeInteger(attempt) || attempt < 1) {
    return { ok: false, problem: `header '${HEADERS.attempt}' is no whole number from 1` };
  }
  const kind = kinds.get(channel);
  if (!kind) return { ok: false, problem: `nothing is known of targets of '${channel}'` };

  const taken = {
    key: `${envelope.id}/${attempt}`,
    envelope,
    attempt,
    kind,
    opened: open(envelope, kind, secretKey),
    redelivered: delivery.redelivered,
    released: delivery.headers[HEADERS.released] === true,
    body: delivery.body,
  };
  return { ok: true, taken };
}

export function parseEnvelope(body: Buffer): { ok: true; envelope: Envelope } | { ok: false; problem: string } {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch (error) {
    return { ok: false, problem: `no JSON: ${(error as Error).message}` };
  }
  const { success, data, error } = envelopeSchema.safeParse(json);
  if (success) return { ok: true, envelope: data };

  const [issue] = error.issues;
  return { ok: false, problem: `no notification: ${issue?.path.join('.') || 'body'}: ${issue?.message}` };
}

/** A target of another key, or one its notification channel cannot read, is claimed without budgets and given up. */
function open(envelope: Envelope, kind: TargetKind, secretKey: Uint8Array): OpenedTarget {
  try {
    const target = openTarget(envelope.target, kind.secretFields, secretKey);
    return { ok: true, target, budgets: kind.budgets(target) };
  } catch (error) {
    return { ok: false, problem: (error as Error).message };
  }
}
