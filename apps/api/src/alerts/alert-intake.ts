import type { PostedAlert } from '#dispatch';
import { ALERT_KEY, EXCHANGES, HEADERS, MESSAGE_TYPES } from '#messaging';
import type { ApiParts } from '../api-parts.js';
import type { Intake } from '../intake/intake.js';
import { joinArrays } from './join-arrays.js';
import type { AcceptedAlert } from './posted-alert.js';

/** A request's alerts travel in one message up to this size, else in several. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;
/** What arrives in one turn of the event loop travels as one message up to this size. Larger bodies gain nothing by being copied. */
export const GATHERED_BYTES_MAX = 64 * 1024;

export type AlertSource = 'api' | 'alertmanager-api' | 'alertmanager-webhook';

/** JSON arrays of alerts, not empty, that will be one message. */
interface Gathering {
  bodies: Buffer[];
  bytes: number;
  published: Promise<void>;
}

/**
 * Takes normalised alerts in: on disk at the broker when it returns. Small posts share a message, and so its confirm: a message costs the broker, its
 * client and the dispatcher far more than an alert does. None waits for company; only what came in the same turn travels together.
 */
export class AlertIntake {
  private gathering: Gathering | undefined;

  constructor(
    private readonly intake: Intake,
    private readonly parts: Pick<ApiParts, 'metrics' | 'now'>,
  ) {}

  /** @throws Problem when the broker did not confirm every message */
  async accept(alerts: readonly AcceptedAlert[], source: AlertSource): Promise<void> {
    const bodies = encode(alerts.map(({ posted }) => posted)).map((body) => Buffer.from(body));
    // Parts of a large post follow each other; one alone may share its message.
    await (bodies.length === 1 ? this.gather(bodies[0] as Buffer) : this.publish(bodies));
    this.parts.metrics.add('ingest_alerts_total', { source }, alerts.length);
  }

  /**
   * The same for a whole body that `isOneMessage`, an array of `count` alerts, not 0, that were all checked: it travels as it came, which spares encoding
   * it again. The dispatcher fills in what an alert leaves out from the same instant. @throws Problem
   */
  async acceptBody(body: Buffer, count: number, source: AlertSource): Promise<void> {
    await this.gather(body);
    this.parts.metrics.add('ingest_alerts_total', { source }, count);
  }

  private gather(body: Buffer): Promise<void> {
    if (this.gathering && this.gathering.bytes + body.length <= GATHERED_BYTES_MAX) {
      this.gathering.bodies.push(body);
      this.gathering.bytes += body.length;
      return this.gathering.published;
    }

    const gathering = { bodies: [body], bytes: body.length, published: Promise.resolve() };
    gathering.published = endOfTurn().then(() => {
      if (this.gathering === gathering) this.gathering = undefined;
      return this.publish([joinArrays(gathering.bodies)]);
    });
    // One that is full goes in its order: its turn ends before the next one's.
    this.gathering = gathering;
    return gathering.published;
  }

  private async publish(bodies: readonly Buffer[]): Promise<void> {
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
  }
}

/** When all sockets that had something were read. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
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
