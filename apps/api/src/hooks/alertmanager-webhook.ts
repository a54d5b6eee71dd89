import { z } from 'zod';
import { type AcceptedAlert, parsePostedAlert } from '../alerts/posted-alert.js';
import type { FieldProblem } from '../problem/problem.js';

/** Alerts of one group; Alertmanager's `max_alerts` lowers it. */
const ALERTS_MAX = 10_000;

/**
 * How long an alert told as firing stays so without a word. Alertmanager speaks again when it is resolved, and else only after its
 * `repeat_interval` (4 h by default), so our own `resolveTimeout` would end alerts that still fire.
 */
export const FIRING_MS = 24 * 3_600_000;

// Newer versions add fields; what is not needed is not looked at.
const webhookSchema = z.object({
  version: z.literal('4', { error: "must be '4': this is the webhook of an Alertmanager" }),
  alerts: z
    .array(z.looseObject({ status: z.enum(['firing', 'resolved']) }))
    .max(ALERTS_MAX, { error: `has at most ${ALERTS_MAX} items; set max_alerts` }),
});

/** The alerts of a webhook body. Each alert's own status decides, not the group's. */
export function parseWebhook(
  body: unknown,
  { now, resolveTimeoutMs }: { now: number; resolveTimeoutMs: number },
): { alerts: AcceptedAlert[]; errors: FieldProblem[] } {
  const webhook = webhookSchema.safeParse(body);
  if (!webhook.success) return { alerts: [], errors: webhook.error.issues.map(toFieldProblem) };

  const alerts: AcceptedAlert[] = [];
  const errors: FieldProblem[] = [];
  for (const [index, { status, ...alert }] of webhook.data.alerts.entries()) {
    const endsAt = status === 'firing' ? new Date(now + FIRING_MS).toISOString() : resolvedAt(alert['endsAt'], now);
    const parsed = parsePostedAlert({ ...alert, endsAt }, { now, resolveTimeoutMs, unknownFields: 'ignored' });
    if (parsed.ok) alerts.push(parsed.alert);
    else errors.push(...parsed.problems.map((problem) => ({ index, ...problem })));
  }
  return { alerts, errors };
}

/** A resolved alert has ended by now, whatever its sender's clock says; without an end it ended now. */
function resolvedAt(endsAt: unknown, now: number): unknown {
  if (typeof endsAt !== 'string') return new Date(now).toISOString();
  const instant = Date.parse(endsAt);
  const isUnset = endsAt.startsWith('0001-');
  return isUnset || instant > now ? new Date(now).toISOString() : endsAt;
}

function toFieldProblem(issue: z.core.$ZodIssue): FieldProblem {
  const [first, index, ...rest] = issue.path;
  const isItem = first === 'alerts' && typeof index === 'number';
  if (isItem) return { index, field: rest.join('.'), message: issue.message };
  return { index: 0, field: issue.path.join('.'), message: issue.message };
}
