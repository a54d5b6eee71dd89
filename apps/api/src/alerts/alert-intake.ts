import type { PostedAlert } from '#dispatch';
import { ALERT_KEY, EXCHANGES, HEADERS, MESSAGE_TYPES } from '#messaging';
import type { ApiParts } from '../api-parts.js';
import type { Intake } from '../intake/intake.js';
import type { AcceptedAlert } from './posted-alert.js';

/** A request's alerts travel in one message up to this size, else in several. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;

export type AlertSource = 'api' | 'alertmanager-api' | 'alertmanager-webhook';

/** Takes normalised alerts in: on disk at the broker when it returns. */
export class AlertIntake {
  constructor(
    private readonly intake: Intake,
    private readonly parts: Pick<ApiParts, 'metrics' | 'now'>,
  ) {}

  /** @throws Problem when the broker did not confirm every message */
  async accept(alerts: readonly AcceptedAlert[], source: AlertSource): Promise<void> {
    await this.publish(encode(alerts.map(({ posted }) => posted)), alerts.length, source);
  }

  /**
   * The same for a whole body that `isOneMessage`, with `count` alerts that were all checked: it travels as it came, which spares encoding it again. The
   * dispatcher fills in what an alert leaves out from the same instant. @throws Problem
   */
  async acceptBody(body: Buffer, count: number, source: AlertSource): Promise<void> {
    await this.publish([body], count, source);
  }

  private async publish(bodies: readonly (Buffer | string)[], count: number, source: AlertSource): Promise<void> {
    // What fires now is told, even if it ends while it waits in the queue of a dispatcher that is away.
    const acceptedAt = new Date((this.parts.now ?? Date.now)()).toISOString();
    await this.intake.publishAll(
      bodies.map((body) => ({
        exchange: EXCHANGES.alerts.name,
        routingKey: ALERT_KEY,
        type: MESSAGE_TYPES.alerts,
        headers: { [HEADERS.acceptedAt]: acceptedAt },
        body,
      })),
    );
    this.parts.metrics.add('ingest_alerts_total', { source }, count);
  }
}

/** Whether a request's body may be published as it came. A byte order mark is no JSON to anyone who reads the message. */
export function isOneMessage(body: Buffer | undefined): body is Buffer {
  return body !== undefined && body.length <= MESSAGE_BYTES_MAX && body[0] !== BYTE_ORDER_MARK_START;
}

const BYTE_ORDER_MARK_START = 0xef;

/** JSON arrays of at most `MESSAGE_BYTES_MAX`; a single alert beyond it has an array of its own. Each alert is encoded once. */
export function encode(alerts: readonly PostedAlert[]): string[] {
  const bodies: string[] = [];
  let items: string[] = [];
  let bytes = 0;
  for (const alert of alerts) {
    const item = JSON.stringify(alert);
    const itemBytes = Buffer.byteLength(item) + 1;
    if (items.length > 0 && bytes + itemBytes + 1 > MESSAGE_BYTES_MAX) {
      bodies.push(`[${items.join(',')}]`);
      items = [];
      bytes = 0;
    }
    items.push(item);
    bytes += itemBytes;
  }
  if (items.length > 0) bodies.push(`[${items.join(',')}]`);
  return bodies;
}
