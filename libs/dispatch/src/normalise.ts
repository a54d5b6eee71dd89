import type { Alert } from './alert.js';
import { fingerprint } from './fingerprint.js';
import { utcInstant } from './utc-instant.js';

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
  const problems: AlertProblem[] = [];
  const read = readAlert(posted, problems);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, alert: complete(read as Read, options) };
}

/** What `normaliseAlert` would refuse; none for an alert that can be taken. For whoever passes it on as it came. */
export function alertProblems(posted: unknown): AlertProblem[] {
  const problems: AlertProblem[] = [];
  readAlert(posted, problems);
  return problems;
}

function readAlert(posted: unknown, problems: AlertProblem[]): Read | undefined {
  if (!isRecord(posted)) {
    problems.push({ field: '', message: 'must be an object with labels' });
    return undefined;
  }
  const labels = readTexts(posted, 'labels', 'dropped', problems);
  const annotations = readTexts(posted, 'annotations', 'kept', problems);
  const startsAt = readInstant(posted, 'startsAt', problems);
  const endsAt = readInstant(posted, 'endsAt', problems);
  const generatorURL = readText(posted, 'generatorURL', problems);

  if (problems.length === 0 && Object.keys(labels).length === 0) {
    problems.push({ field: 'labels', message: 'must hold at least one label that is not empty' });
  }
  if (startsAt !== undefined && endsAt !== undefined && endsAt < startsAt) {
    problems.push({ field: 'endsAt', message: 'must not be before startsAt' });
  }
  return { labels, annotations, generatorURL, startsAt, endsAt };
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

/** The texts as they came when nothing in them has to change, which is nearly always: hot path, no copy. */
function readTexts(
  posted: Record<string, unknown>,
  field: string,
  empty: 'kept' | 'dropped',
  problems: AlertProblem[],
): Record<string, string> {
  const value = posted[field];
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) {
    problems.push({ field, message: 'must be an object of texts' });
    return {};
  }
  let isAsItCame = true;
  for (const name of Object.keys(value)) {
    const text = value[name];
    if (typeof text !== 'string') problems.push({ field: `${field}.${name}`, message: 'must be a text' });
    else if (name === '') problems.push({ field, message: 'must not have an empty name' });
    else if ((text === '' && empty === 'dropped') || MAYBE_UNSTORABLE.test(text) || MAYBE_UNSTORABLE.test(name)) {
      isAsItCame = false;
    }
  }
  const texts = value as Record<string, string>;
  return isAsItCame || problems.length > 0 ? texts : copied(texts, empty);
}

function copied(texts: Record<string, string>, empty: 'kept' | 'dropped'): Record<string, string> {
  // Not one assignment each: a label may be called __proto__.
  return Object.fromEntries(
    Object.entries(texts)
      .filter(([, text]) => text !== '' || empty === 'kept')
      .map(([name, text]) => [storable(name), storable(text)]),
  );
}

function readText(posted: Record<string, unknown>, field: string, problems: AlertProblem[]): string {
  const value = posted[field] ?? '';
  if (typeof value === 'string') return storable(value);
  problems.push({ field, message: 'must be a text' });
  return '';
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)$/;
const CAPITAL_FORM = /^[^t ]+[^z]$/;
/** Go's zero time, which Prometheus and Alertmanager write for "not set". */
const ZERO_YEAR = '0001-';

function readInstant(posted: Record<string, unknown>, field: string, problems: AlertProblem[]): number | undefined {
  const value = posted[field];
  if (value === undefined || value === null || value === '') return undefined;

  const instant = typeof value === 'string' ? instantOf(value) : 'invalid';
  if (instant !== 'invalid') return instant;
  problems.push({ field, message: 'must be a time such as 2026-01-02T15:04:05.000Z' });
  return undefined;
}

/** Milliseconds since the epoch of an RFC 3339 text; `undefined` for Go's zero time, which means that it is not set. */
function instantOf(text: string): number | undefined | 'invalid' {
  const instant = utcInstant(text) ?? (RFC_3339.test(text) ? parseInstant(text) : Number.NaN);
  if (Number.isNaN(instant)) return 'invalid';
  return text.startsWith(ZERO_YEAR) ? undefined : instant;
}

function parseInstant(text: string): number {
  // `Date.parse` promises only the form with capitals.
  return Date.parse(CAPITAL_FORM.test(text) ? text : text.toUpperCase().replace(' ', 'T'));
}

// PostgreSQL's text holds neither NUL nor half a surrogate pair: one such label would stop every later commit. Accepted means told, so
// they are replaced rather than refused.
function storable(text: string): string {
  return text.replace(/\0|\p{Surrogate}/gu, '\uFFFD');
}

/** Cheap to ask: also true for a whole surrogate pair, which is then left as it is. */
const MAYBE_UNSTORABLE = /[\0\ud800-\udfff]/;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
