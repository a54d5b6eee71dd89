import type { Configuration } from '#config';
import { type Alert, buildRoutingTree, type Matcher, MatcherError, matchesAll, parseMatchers } from '#dispatch';
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

/** Alerts that have not ended, by fingerprint, in Alertmanager's form. Nothing is silenced or inhibited by this release, so each is active. */
export function selectAlerts(
  alerts: readonly Alert[],
  query: AlertsQuery,
  { route, receivers }: Configuration,
  now: number,
): GettableAlert[] {
  if (query.active === 'false') return [];
  const matchers = filterOf(query);
  const isWanted = receiverTest(query.receiver);
  const tree = buildRoutingTree(route, new Set(receivers.map(({ name }) => name)));
  return alerts
    .filter((alert) => alert.endsAt > now && matchesAll(matchers, alert.labels))
    .map((alert) => ({ alert, names: [...new Set(tree.match(alert.labels).map(({ receiver }) => receiver))] }))
    .filter(({ names }) => names.some(isWanted))
    .map(({ alert, names }) => toGettable(alert, names));
}

function toGettable(alert: Alert, receivers: readonly string[]): GettableAlert {
  return {
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: new Date(alert.startsAt).toISOString(),
    endsAt: new Date(alert.endsAt).toISOString(),
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
