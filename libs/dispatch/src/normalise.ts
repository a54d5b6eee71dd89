import type { Alert } from './alert.js';
import { fingerprint } from './fingerprint.js';

export interface AlertProblem {
  /** Path inside the posted alert, e.g. `labels.severity` or `startsAt`; empty for the alert itself. */
  field: string;
  message: string;
}

export type NormalisedAlert = { ok: true; alert: Alert } | { ok: false; problems: AlertProblem[] };

export interface NormaliseOptions {
  now: number;
  resolveTimeoutMs: number;
  /** When the service accepted it, ms; the default is `now`. Queued for longer than it lasts, an alert that was firing then still counts as firing. */
  acceptedAt?: number;
}

/**
 * Checks one posted alert and fills in what it leaves out, by Alertmanager's rules (api/v2): empty labels go, one label must remain; without
 * `startsAt` it starts now (or at `endsAt`, if that is earlier); without `endsAt` it ends `resolveTimeoutMs` from now unless refreshed.
 */
export function normaliseAlert(posted: unknown, options: NormaliseOptions): NormalisedAlert {
  if (!isRecord(posted)) return { ok: false, problems: [{ field: '', message: 'must be an object with labels' }] };

  const problems: AlertProblem[] = [];
  const labels = withoutEmpty(readTexts(posted, 'labels', problems));
  const annotations = readTexts(posted, 'annotations', problems);
  const startsAt = readInstant(posted, 'startsAt', problems);
  const endsAt = readInstant(posted, 'endsAt', problems);
  const generatorURL = readText(posted, 'generatorURL', problems);

  if (problems.length === 0 && Object.keys(labels).length === 0) {
    problems.push({ field: 'labels', message: 'must hold at least one label that is not empty' });
  }
  if (startsAt !== undefined && endsAt !== undefined && endsAt < startsAt) {
    problems.push({ field: 'endsAt', message: 'must not be before startsAt' });
  }
  if (problems.length > 0) return { ok: false, problems };

  return { ok: true, alert: complete({ labels, annotations, generatorURL, startsAt, endsAt }, options) };
}

interface Read {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  generatorURL: string;
  startsAt: number | undefined;
  endsAt: number | undefined;
}

function complete(
  { startsAt, endsAt, ...texts }: Read,
  { now, resolveTimeoutMs, acceptedAt = now }: NormaliseOptions,
): Alert {
  const wasFiring = endsAt === undefined || endsAt > acceptedAt;
  const endedInQueue = wasFiring && endsAt !== undefined && endsAt <= now;
  const endsAtIsTimeout = endsAt === undefined || endedInQueue;
  return {
    fingerprint: fingerprint(texts.labels),
    ...texts,
    startsAt: startsAt ?? Math.min(acceptedAt, now, endsAt ?? now),
    endsAt: endsAtIsTimeout ? now + resolveTimeoutMs : endsAt,
    endsAtIsTimeout,
    updatedAt: now,
  };
}

function readTexts(posted: Record<string, unknown>, field: string, problems: AlertProblem[]): Record<string, string> {
  const value = posted[field];
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) {
    problems.push({ field, message: 'must be an object of texts' });
    return {};
  }
  const texts: Record<string, string> = {};
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string') problems.push({ field: `${field}.${name}`, message: 'must be a text' });
    else if (name === '') problems.push({ field, message: 'must not have an empty name' });
    // Not `texts[name] = ...`: a label may be called __proto__.
    else
      Object.defineProperty(texts, storable(name), {
        value: storable(text),
        enumerable: true,
        configurable: true,
        writable: true,
      });
  }
  return texts;
}

function readText(posted: Record<string, unknown>, field: string, problems: AlertProblem[]): string {
  const value = posted[field] ?? '';
  if (typeof value === 'string') return storable(value);
  problems.push({ field, message: 'must be a text' });
  return '';
}

const RFC_3339 = /^(\d{4})-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)$/;
/** Go's zero time, which Prometheus and Alertmanager write for "not set". */
const ZERO_YEAR = '0001';

function readInstant(posted: Record<string, unknown>, field: string, problems: AlertProblem[]): number | undefined {
  const value = posted[field];
  if (value === undefined || value === null || value === '') return undefined;

  const form = typeof value === 'string' ? RFC_3339.exec(value) : null;
  const instant = form ? Date.parse((value as string).toUpperCase().replace(' ', 'T')) : Number.NaN;
  if (Number.isNaN(instant)) {
    problems.push({ field, message: 'must be a time such as 2026-01-02T15:04:05.000Z' });
    return undefined;
  }
  return form?.[1] === ZERO_YEAR ? undefined : instant;
}

// PostgreSQL's text holds neither NUL nor half a surrogate pair: one such label would stop every later commit. Accepted means told, so
// they are replaced rather than refused.
function storable(text: string): string {
  return text.replace(/\0|\p{Surrogate}/gu, '\uFFFD');
}

function withoutEmpty(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
