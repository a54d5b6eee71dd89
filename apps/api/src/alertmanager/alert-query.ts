import type { Configuration } from '#config';
import {
  type Alert,
  buildRoutingTree,
  hasEnded,
  type Matcher,
  MatcherError,
  matchesAll,
  parseMatchers,
} from '#dispatch';
import { Problem } from '../problem/problem.js';

/** Query of `GET /api/v2/alerts`; every flag is true unless told otherwise. */
export interface AlertsQuery {
  active?: string;
  unprocessed?: string;
  /** Matchers; may be repeated. */
  filter?: string | string[];
  /** Regular expression over the whole receiver name. */
  receiver?: string;
}

export interface GettableAlert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  endsAt: string;
  updatedAt: string;
  generatorURL: string;
  fingerprint: string;
  receivers: { name: string }[];
  status: { state: 'active'; silencedBy: string[]; inhibitedBy: string[]; mutedBy: string[] };
}

/** Alerts that fire, by fingerprint, in Alertmanager's form. Nothing is silenced or inhibited by this release, so each is active. */
export function selectAlerts(
  alerts: readonly Alert[],
  query: AlertsQuery,
  { route, receivers, resolveTimeoutMs }: Configuration,
  now: number,
): GettableAlert[] {
  if (query.active === 'false') return [];
  const matchers = filterOf(query);
  const isWanted = receiverTest(query.receiver);
  const tree = buildRoutingTree(route, new Set(receivers.map(({ name }) => name)));
  return alerts
    .filter((alert) => !hasEnded(alert) && matchesAll(matchers, alert.labels))
    .map((alert) => ({ alert, names: [...new Set(tree.match(alert.labels).map(({ receiver }) => receiver))] }))
    .filter(({ names }) => names.some(isWanted))
    .map(({ alert, names }) => toGettable(alert, names, shownEnd(alert, now, resolveTimeoutMs)));
}

/**
 * Refreshes are not stored, so what fires may have a stored end that is past, and clients take a past end for the end: it is shown with the grace
 * that a restart of the dispatcher would give it.
 */
function shownEnd({ endsAt }: Alert, now: number, resolveTimeoutMs: number): number {
  return endsAt > now ? endsAt : now + resolveTimeoutMs;
}

function toGettable(alert: Alert, receivers: readonly string[], endsAt: number): GettableAlert {
  return {
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: new Date(alert.startsAt).toISOString(),
    endsAt: new Date(endsAt).toISOString(),
    updatedAt: new Date(alert.updatedAt).toISOString(),
    generatorURL: alert.generatorURL,
    fingerprint: alert.fingerprint,
    receivers: receivers.map((name) => ({ name })),
    status: { state: 'active', silencedBy: [], inhibitedBy: [], mutedBy: [] },
  };
}

function filterOf({ filter }: AlertsQuery): Matcher[] {
  try {
    return [filter ?? []].flat().flatMap(parseMatchers);
  } catch (error) {
    if (error instanceof MatcherError)
      throw new Problem('invalid-request', { detail: error.message }, { cause: error });
    throw error;
  }
}

function receiverTest(receiver: string | undefined): (name: string) => boolean {
  if (receiver === undefined || receiver === '') return () => true;
  try {
    const pattern = new RegExp(`^(?:${receiver})$`);
    return (name) => pattern.test(name);
  } catch (cause) {
    throw new Problem('invalid-request', { detail: `receiver '${receiver}' is no regular expression` }, { cause });
  }
}
