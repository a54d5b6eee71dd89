import { createHash } from 'node:crypto';
import type { Alert, StoredGroup, StoredLogEntry } from '#dispatch';

// The dispatcher's state as rows and back.

export interface AlertRow {
  fingerprint: string;
  labels: string;
  annotations: string;
  starts_at: bigint;
  ends_at: bigint;
  ends_at_is_timeout: boolean | bigint;
  generator_url: string;
  updated_at: bigint;
}

export function alertOf(row: AlertRow): Alert {
  return {
    fingerprint: row.fingerprint,
    labels: JSON.parse(row.labels),
    annotations: JSON.parse(row.annotations),
    startsAt: Number(row.starts_at),
    endsAt: Number(row.ends_at),
    endsAtIsTimeout: Boolean(row.ends_at_is_timeout),
    generatorURL: row.generator_url,
    updatedAt: Number(row.updated_at),
  };
}

export function alertRow(alert: Alert) {
  return {
    fingerprint: alert.fingerprint,
    labels: JSON.stringify(alert.labels),
    annotations: JSON.stringify(alert.annotations),
    starts_at: alert.startsAt,
    ends_at: alert.endsAt,
    ends_at_is_timeout: alert.endsAtIsTimeout,
    generator_url: alert.generatorURL,
    updated_at: alert.updatedAt,
  };
}

export interface GroupRow {
  id: string;
  key: string;
  receiver: string;
  group_labels: string;
  fingerprints: string;
  next_flush_at: bigint;
  flush_number: number;
}

export function groupOf(row: GroupRow): StoredGroup {
  return {
    key: JSON.parse(row.key),
    receiver: row.receiver,
    groupLabels: JSON.parse(row.group_labels),
    fingerprints: JSON.parse(row.fingerprints),
    nextFlushAt: Number(row.next_flush_at),
    flushNumber: Number(row.flush_number),
  };
}

export function groupRow(group: StoredGroup) {
  return {
    id: rowId(group.key),
    key: JSON.stringify(group.key),
    receiver: group.receiver,
    group_labels: JSON.stringify(group.groupLabels),
    fingerprints: JSON.stringify(group.fingerprints),
    next_flush_at: group.nextFlushAt,
    flush_number: group.flushNumber,
  };
}

export interface LogRow {
  id: string;
  key: string;
  group_key: string;
  firing: string;
  resolved: string;
  notified_at: bigint;
}

export function logEntryOf(row: LogRow): StoredLogEntry {
  return {
    key: JSON.parse(row.key),
    groupKey: JSON.parse(row.group_key),
    firing: JSON.parse(row.firing),
    resolved: JSON.parse(row.resolved),
    notifiedAt: Number(row.notified_at),
  };
}

export function logRow(entry: StoredLogEntry) {
  return {
    id: rowId(entry.key),
    key: JSON.stringify(entry.key),
    group_key: JSON.stringify(entry.groupKey),
    firing: JSON.stringify(entry.firing),
    resolved: JSON.stringify(entry.resolved),
    notified_at: entry.notifiedAt,
  };
}

/** Primary key of a row whose own key is text of any length. */
export function rowId(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
