import { type Alert, normaliseAlert } from '#dispatch';
import { type Delivery, HEADERS, MESSAGE_TYPES } from '#messaging';

/** A batch of deliveries, told apart. */
export interface Inbox {
  alerts: Alert[];
  fences: Delivery[];
  unreadable: Unreadable[];
}

/** What cannot be taken: a whole body, or those items of it that are wrong. It is kept as a dead letter, to be mended and posted again. */
export interface Unreadable {
  body: Buffer;
  detail: string;
}

export interface ReadOptions {
  now: number;
  resolveTimeoutMs: number;
}

/** Problems quoted in one dead letter, at most. */
const PROBLEMS_SHOWN_MAX = 5;

export function readDeliveries(deliveries: readonly Delivery[], options: ReadOptions): Inbox {
  const inbox: Inbox = { alerts: [], fences: [], unreadable: [] };
  for (const delivery of deliveries) {
    switch (delivery.type ?? MESSAGE_TYPES.alerts) {
      case MESSAGE_TYPES.tick:
        break;
      case MESSAGE_TYPES.fence:
        inbox.fences.push(delivery);
        break;
      // A type of somebody else's making says nothing about the body.
      default:
        readAlerts(delivery, options, inbox);
    }
  }
  return inbox;
}

/** The items that cannot be used do not take the others with them. */
function readAlerts(delivery: Delivery, options: ReadOptions, inbox: Inbox): void {
  const items = parseItems(delivery.body);
  if (!Array.isArray(items)) {
    inbox.unreadable.push({ body: delivery.body, detail: items.problem });
    return;
  }
  const acceptedAt = instantOf(delivery.headers[HEADERS.acceptedAt]);
  const wrong: unknown[] = [];
  const problems: string[] = [];
  for (const [index, item] of items.entries()) {
    const result = normaliseAlert(item, { ...options, acceptedAt });
    if (result.ok) {
      inbox.alerts.push(result.alert);
      continue;
    }
    wrong.push(item);
    problems.push(`[${index}] ${result.problems.map(({ field, message }) => `${field} ${message}`.trim()).join(', ')}`);
  }
  if (wrong.length === 0) return;

  const more = problems.length > PROBLEMS_SHOWN_MAX ? `; and ${problems.length - PROBLEMS_SHOWN_MAX} more` : '';
  const body = wrong.length === items.length ? delivery.body : Buffer.from(JSON.stringify(wrong));
  inbox.unreadable.push({ body, detail: `not an alert: ${problems.slice(0, PROBLEMS_SHOWN_MAX).join('; ')}${more}` });
}

/** The alerts of a body; none when it cannot be read. */
export function itemsOf(body: Buffer): readonly unknown[] {
  const items = parseItems(body);
  return Array.isArray(items) ? items : [];
}

function parseItems(body: Buffer): unknown[] | { problem: string } {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return Array.isArray(parsed) ? parsed : [parsed];
  } catch (error) {
    return { problem: `not JSON: ${(error as Error).message}` };
  }
}

function instantOf(header: unknown): number | undefined {
  const instant = typeof header === 'string' ? Date.parse(header) : Number.NaN;
  return Number.isNaN(instant) ? undefined : instant;
}
