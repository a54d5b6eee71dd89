import type { Alert } from './alert.js';
import { hasEnded } from './merge.js';
import type { AlertView, GroupContent, GroupReason } from './notification.js';

/** Alerts in one notification, at most; a larger flush is told in parts. */
export const ALERTS_PER_NOTIFICATION_MAX = 1_000;
/** The alerts of one notification as JSON, at most (a single larger alert still goes alone). */
export const NOTIFICATION_CHARACTERS_MAX = 256 * 1_024;

export interface GroupTelling {
  reason: GroupReason;
  receiver: string;
  groupKey: string;
  groupLabels: Record<string, string>;
}

/** The contents that tell these alerts: one, or several when one would be too large. Every alert is in exactly one of them. */
export function groupContents(telling: GroupTelling, alerts: readonly Alert[]): GroupContent[] {
  return inParts(alerts.map(toView)).map((views) => ({
    kind: 'group',
    status: views.every((view) => view.status === 'resolved') ? 'resolved' : 'firing',
    ...telling,
    commonLabels: common(views.map((view) => view.labels)),
    commonAnnotations: common(views.map((view) => view.annotations)),
    alerts: views,
  }));
}

function inParts(views: readonly AlertView[]): AlertView[][] {
  const parts: AlertView[][] = [];
  let part: AlertView[] = [];
  let characters = 0;
  for (const view of views) {
    const length = JSON.stringify(view).length;
    const isFull = part.length === ALERTS_PER_NOTIFICATION_MAX || characters + length > NOTIFICATION_CHARACTERS_MAX;
    if (isFull && part.length > 0) {
      parts.push(part);
      part = [];
      characters = 0;
    }
    part.push(view);
    characters += length;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

function toView(alert: Alert): AlertView {
  const { fingerprint, labels, annotations, generatorURL } = alert;
  const startsAt = new Date(alert.startsAt).toISOString();
  if (!hasEnded(alert)) return { status: 'firing', fingerprint, labels, annotations, startsAt, generatorURL };
  return {
    status: 'resolved',
    fingerprint,
    labels,
    annotations,
    startsAt,
    endsAt: new Date(alert.endsAt).toISOString(),
    generatorURL,
  };
}

/** The entries that all have. */
function common(all: readonly Record<string, string>[]): Record<string, string> {
  const [first = {}, ...others] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => others.every((other) => other[name] === value)),
  );
}
