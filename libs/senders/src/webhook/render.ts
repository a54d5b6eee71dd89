import type { AlertView, Content, Envelope, GroupContent, GroupReason } from '#dispatch';

/** The JSON of one webhook; README.md shows it. */
export function renderPayload(envelope: Envelope, attempt: number, mayRepeat: boolean): Record<string, unknown> {
  const { id, severity, createdAt, content } = envelope;
  const tocsin = { notificationId: id, kind: content.kind, severity, createdAt, attempt, mayRepeat };
  return { ...payloadOf(content), tocsin };
}

function payloadOf(content: Content): Record<string, unknown> {
  switch (content.kind) {
    case 'group':
      return groupPayload(content);
    case 'text':
      return { subject: content.subject ?? '', text: content.text };
    case 'digest':
      return { covers: content.covers };
    default:
      return unreachable(content);
  }
}

/** Alertmanager's words (template/template.go). */
const REASONS: Record<GroupReason, string> = {
  'first-notification': 'first notification',
  'new-alerts': 'new alerts added',
  'some-resolved': 'some alerts resolved',
  'all-resolved': 'all alerts resolved',
  'repeat-interval': 'repeat interval elapsed',
};

/** Alertmanager's webhook, version 4, so that its receivers take ours. */
function groupPayload(content: GroupContent): Record<string, unknown> {
  const { receiver, status, groupKey, groupLabels, commonLabels, commonAnnotations } = content;
  return {
    version: '4',
    receiver,
    status,
    groupKey,
    truncatedAlerts: 0,
    groupLabels,
    commonLabels,
    commonAnnotations,
    externalURL: '',
    notification_reason: REASONS[content.reason],
    alerts: content.alerts.map(alertPayload),
  };
}

/** Go's zero time, which Alertmanager sends while an alert fires. */
const NO_END = '0001-01-01T00:00:00Z';

function alertPayload({ status, labels, annotations, startsAt, endsAt, generatorURL, fingerprint }: AlertView) {
  return {
    status,
    labels,
    annotations,
    startsAt,
    endsAt: status === 'resolved' ? (endsAt ?? NO_END) : NO_END,
    generatorURL,
    fingerprint,
  };
}

function unreachable(content: never): never {
  throw new Error(`no webhook for content ${JSON.stringify(content)}`);
}
