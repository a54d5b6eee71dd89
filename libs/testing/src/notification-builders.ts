import type { AlertView, Content, Envelope, GroupContent, NotificationChannel } from '#dispatch';

// Givens for specs that need a notification and care for little of it.

export function anAlertView(change: Partial<AlertView> = {}): AlertView {
  return {
    status: 'firing',
    fingerprint: 'cc6e49118c0ea32b',
    labels: { alertname: 'HighCPU', instance: 'web-1:9100', severity: 'critical' },
    annotations: { summary: 'cpu 97%' },
    startsAt: '2026-01-02T15:04:05.123Z',
    generatorURL: 'http://prometheus:9090/graph?g0.expr=cpu',
    ...change,
  };
}

export function aGroupContent(change: Partial<GroupContent> = {}): GroupContent {
  return {
    kind: 'group',
    status: 'firing',
    reason: 'first-notification',
    receiver: 'ops',
    groupKey: '{}:{alertname="HighCPU"}',
    groupLabels: { alertname: 'HighCPU' },
    commonLabels: { alertname: 'HighCPU', severity: 'critical' },
    commonAnnotations: {},
    alerts: [anAlertView()],
    ...change,
  };
}

export function anEnvelope(channel: NotificationChannel, content: Content = aGroupContent(), id = 'ntf-1'): Envelope {
  return {
    version: 1,
    id,
    channel,
    target: {},
    targetKey: `${channel}:test`,
    severity: 'critical',
    createdAt: '2026-01-02T15:04:06.000Z',
    content,
  };
}
