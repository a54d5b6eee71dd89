import { type Envelope, type NotificationStatus, SEVERITIES, type Severity } from '#dispatch';

/** A notification as NOTIFICATIONS inserts it. */
export function notificationRow(envelope: Envelope, told: { receiver?: string; groupKey?: string } = {}) {
  return {
    id: envelope.id,
    channel: envelope.channel,
    target_key: envelope.targetKey,
    severity: SEVERITIES.indexOf(envelope.severity),
    status: 'queued' satisfies NotificationStatus,
    receiver: told.receiver,
    group_key: told.groupKey,
    envelope: JSON.stringify(envelope),
    created_at: Date.parse(envelope.createdAt),
  };
}

export function severityOf(rank: number | bigint): Severity {
  return SEVERITIES[Number(rank)] ?? 'info';
}

const FINAL: ReadonlySet<string> = new Set<NotificationStatus>(['sent', 'dead', 'suppressed']);

export function isFinal(status: string): boolean {
  return FINAL.has(status);
}
