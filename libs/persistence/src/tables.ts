import type { Columns } from './dialect.js';

/** The columns that batches write, as the models in prisma/models name and type them. */
export interface Table {
  name: string;
  key: readonly string[];
  columns: Columns;
}

export const ALERTS: Table = {
  name: 'alerts',
  key: ['fingerprint'],
  columns: {
    fingerprint: 'text',
    labels: 'text',
    annotations: 'text',
    starts_at: 'bigint',
    ends_at: 'bigint',
    ends_at_is_timeout: 'boolean',
    generator_url: 'text',
    updated_at: 'bigint',
  },
};

export const ALERT_GROUPS: Table = {
  name: 'alert_groups',
  key: ['id'],
  columns: {
    id: 'text',
    key: 'text',
    receiver: 'text',
    group_labels: 'text',
    fingerprints: 'text',
    next_flush_at: 'bigint',
    flush_number: 'int',
  },
};

export const NOTIFICATION_LOG: Table = {
  name: 'notification_log',
  key: ['id'],
  columns: {
    id: 'text',
    key: 'text',
    group_key: 'text',
    firing: 'text',
    resolved: 'text',
    notified_at: 'bigint',
  },
};

export const OUTBOX: Table = {
  name: 'outbox',
  key: ['id'],
  columns: { id: 'text', exchange: 'text', routing_key: 'text', headers: 'text', body: 'text', sequence: 'bigint' },
};

export const TIMELINE: Table = {
  name: 'timeline',
  key: ['sequence', 'writer'],
  columns: {
    sequence: 'bigint',
    writer: 'bigint',
    at: 'bigint',
    fingerprint: 'text',
    notification_id: 'text',
    kind: 'text',
    detail: 'text',
  },
};

export const NOTIFICATIONS: Table = {
  name: 'notifications',
  key: ['id'],
  columns: {
    id: 'text',
    channel: 'text',
    target_key: 'text',
    severity: 'int',
    status: 'text',
    receiver: 'text',
    group_key: 'text',
    envelope: 'text',
    created_at: 'bigint',
  },
};

export const NOTIFICATION_ALERTS: Table = {
  name: 'notification_alerts',
  key: ['notification_id', 'fingerprint'],
  columns: { notification_id: 'text', fingerprint: 'text' },
};

export const ATTEMPTS: Table = {
  name: 'attempts',
  key: ['notification_id', 'number'],
  columns: {
    notification_id: 'text',
    number: 'int',
    target_key: 'text',
    claimed_by: 'text',
    claimed_at: 'bigint',
    may_repeat: 'boolean',
  },
};

export const BUDGETS: Table = {
  name: 'budgets',
  key: ['name'],
  columns: {
    name: 'text',
    window_ms: 'bigint',
    spend_limit: 'int',
    spends: 'text',
    blocked_until: 'bigint',
    updated_at: 'bigint',
  },
};

export const DEAD_LETTERS: Table = {
  name: 'dead_letters',
  key: ['id'],
  columns: {
    id: 'text',
    notification_id: 'text',
    channel: 'text',
    target_key: 'text',
    reason: 'text',
    attempts: 'int',
    failed_at: 'bigint',
    payload: 'text',
    detail: 'text',
    status: 'text',
  },
};
