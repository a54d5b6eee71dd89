import { createHash } from 'node:crypto';
import { sortedByBytes } from './fingerprint.js';
import type { StoredGroup } from './ports.js';
import type { Route } from './routing-tree.js';

/** Alerts that are told together. Lives while it has alerts; owned by `Dispatch`. */
export interface Group {
  key: string;
  route: Route;
  labels: Record<string, string>;
  fingerprints: Set<string>;
  nextFlushAt: number;
  /** Of the last flush that told something. Grows by one with each, so the ids of the next flush can be computed again. */
  flushNumber: number;
}

/** Longer keys (many labels) end in a hash: a database index holds some 2,700 bytes. */
export const GROUP_KEY_CHARACTERS_MAX = 600;

/** A fresh group; its first flush is due when `groupWait` is over. */
export function openGroup(key: string, route: Route, labels: Record<string, string>, now: number): Group {
  return {
    key,
    route,
    labels,
    fingerprints: new Set(),
    nextFlushAt: now + route.groupWaitMs,
    flushNumber: firstFlushNumber(now),
  };
}

// Seconds since 2020. A group that is removed and comes back must not repeat the ids of its earlier life, so it starts above every number of that
// life: a group is only removed once its number lies behind this clock (`isSpent`).
const FLUSH_NUMBERS_START_MS = Date.UTC(2020, 0);

export function firstFlushNumber(now: number): number {
  return Math.max(0, Math.floor((now - FLUSH_NUMBERS_START_MS) / 1_000));
}

/** Nothing left to tell, and a successor would get higher numbers. */
export function isSpent(group: Group, now: number): boolean {
  return group.fingerprints.size === 0 && group.flushNumber < firstFlushNumber(now);
}

/** The labels of an alert that name its group on this route. */
export function groupLabelsOf(labels: Readonly<Record<string, string>>, { groupBy }: Route): Record<string, string> {
  if (groupBy === 'all') return { ...labels };
  return Object.fromEntries(Object.entries(labels).filter(([name]) => groupBy.has(name)));
}

/** Alertmanager's form: `{}/{team="db"}:{alertname="DiskFull", host="a"}`. */
export function groupKeyOf(route: Route, groupLabels: Readonly<Record<string, string>>): string {
  const written = sortedByBytes(Object.keys(groupLabels)).map((name) => `${name}=${JSON.stringify(groupLabels[name])}`);
  const key = `${route.key}:{${written.join(', ')}}`;
  if (key.length <= GROUP_KEY_CHARACTERS_MAX) return key;

  const hash = createHash('sha256').update(key).digest('hex').slice(0, 32);
  return `${key.slice(0, GROUP_KEY_CHARACTERS_MAX - hash.length - 1).replace(/[\uD800-\uDBFF]$/, '')}#${hash}`;
}

/** Names what one target of one group was told: a hash, for the parts are as long as their writers like. */
export function logKeyOf(groupKey: string, receiver: string, targetKey: string): string {
  return createHash('sha256')
    .update(JSON.stringify([groupKey, receiver, targetKey]))
    .digest('hex')
    .slice(0, 40);
}

export function toStoredGroup({ key, route, labels, fingerprints, nextFlushAt, flushNumber }: Group): StoredGroup {
  return {
    key,
    receiver: route.receiver,
    groupLabels: labels,
    fingerprints: [...fingerprints],
    nextFlushAt,
    flushNumber,
  };
}
