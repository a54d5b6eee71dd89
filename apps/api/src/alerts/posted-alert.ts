import { type Alert, normaliseAlert, type PostedAlert } from '#dispatch';
import type { FieldProblem } from '../problem/problem.js';

export interface AcceptedAlert {
  fingerprint: string;
  posted: PostedAlert;
}

export type ParsedAlert = { ok: true; alert: AcceptedAlert } | { ok: false; problems: Omit<FieldProblem, 'index'>[] };

export interface ParseOptions {
  /** Milliseconds. */
  now: number;
  resolveTimeoutMs: number;
  /** Alertmanager ignores them; our own API refuses what is most likely a slip. */
  unknownFields: 'ignored' | 'refused';
}

const FIELDS = ['labels', 'annotations', 'startsAt', 'endsAt', 'generatorURL'];

/** One alert, checked and put in the form it is published in. */
export function parsePostedAlert(input: unknown, { now, resolveTimeoutMs, unknownFields }: ParseOptions): ParsedAlert {
  const unknown = unknownFields === 'refused' ? unknownFieldProblems(input) : [];
  const normalised = normaliseAlert(input, { now, resolveTimeoutMs });
  if (!normalised.ok) return { ok: false, problems: [...unknown, ...normalised.problems] };
  if (unknown.length > 0) return { ok: false, problems: unknown };
  return { ok: true, alert: { fingerprint: normalised.alert.fingerprint, posted: toPosted(normalised.alert) } };
}

/** An end that is only a time-out stays out: the dispatcher sets it, from the instant it merges the alert. */
function toPosted(alert: Alert): PostedAlert {
  return {
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: new Date(alert.startsAt).toISOString(),
    ...(!alert.endsAtIsTimeout && { endsAt: new Date(alert.endsAt).toISOString() }),
    generatorURL: alert.generatorURL,
  };
}

function unknownFieldProblems(input: unknown): Omit<FieldProblem, 'index'>[] {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return [];
  return Object.keys(input)
    .filter((field) => !FIELDS.includes(field))
    .map((field) => ({ field, message: `is unknown; known: ${FIELDS.join(', ')}` }));
}
