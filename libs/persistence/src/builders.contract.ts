import type {
  Alert,
  ClaimRequest,
  DispatchChanges,
  Envelope,
  NewDeadLetter,
  NewNotification,
  OutboxMessage,
  Settlement,
} from '#dispatch';

// What the specs of this library start from.

export const NOW = 1_900_000_000_000;

export function anAlert(part: Partial<Alert> = {}): Alert {
  return {
    fingerprint: '00000000000000a1',
    labels: { alertname: 'DiskFull', severity: 'critical' },
    annotations: { summary: 'disk is full' },
    startsAt: NOW,
    endsAt: NOW + 300_000,
    endsAtIsTimeout: true,
    generatorURL: 'http://prometheus/graph',
    updatedAt: NOW,
    ...part,
  };
}

export function anEnvelope(id: string, part: Partial<Envelope> = {}): Envelope {
  return {
    version: 1,
    id,
    channel: 'dingtalk',
    target: { token: 'sealed:v1:abc' },
    targetKey: 'dingtalk:robot',
    severity: 'warning',
    createdAt: new Date(NOW).toISOString(),
    content: { kind: 'text', text: `this is ${id}` },
    ...part,
  };
}

export function aNotification(id: string, part: Partial<NewNotification> = {}): NewNotification {
  return { envelope: anEnvelope(id), groupKey: '{}:{}', receiver: 'ops', fingerprints: [], ...part };
}

export function anOutboxMessage(id: string): OutboxMessage {
  return { id, exchange: 'notifications', routingKey: 'dingtalk', headers: { attempt: 1 }, body: `{"id":"${id}"}` };
}

export function changes(part: Partial<DispatchChanges> = {}): DispatchChanges {
  return {
    alerts: [],
    alertsForgotten: [],
    groups: [],
    groupsForgotten: [],
    log: [],
    logForgotten: [],
    notifications: [],
    timeline: [],
    outbox: [],
    published: [],
    released: [],
    digested: [],
    ...part,
  };
}

export const ROBOT_BUDGET = { name: 'dingtalk:robot', windowMs: 60_000, limit: 2 };

export function aClaim(id: string, part: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    envelope: anEnvelope(id),
    attempt: 1,
    redelivered: false,
    released: false,
    budgets: [],
    perTargetInFlight: 100,
    claimedBy: 'run-a',
    ...part,
  };
}

export function aSettlement(id: string, part: Partial<Settlement> = {}): Settlement {
  return {
    id,
    attempt: 1,
    at: NOW + 10,
    durationMs: 10.4,
    outcome: { outcome: 'accepted', providerCode: '0', providerMessage: 'ok' },
    followUp: { next: 'none' },
    ...part,
  };
}

export function aDeadLetter(id: string, part: Partial<NewDeadLetter> = {}): NewDeadLetter {
  return {
    id: `${id}/1`,
    notificationId: id,
    channel: 'dingtalk',
    targetKey: 'dingtalk:robot',
    reason: 'refused',
    attempts: 1,
    failedAt: NOW + 20,
    payload: JSON.stringify(anEnvelope(id)),
    detail: '310000 keywords not in content',
    ...part,
  };
}
