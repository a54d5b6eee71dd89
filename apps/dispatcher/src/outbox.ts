import type { DispatcherStore, OutboxMessage, Publication } from '#dispatch';
import { ALERT_KEY, type Delivery, EXCHANGES, HEADERS, type OutgoingMessage, UNPARSEABLE_KEY } from '#messaging';
import type { DispatcherMessaging } from './dispatcher-parts.js';
import type { Unreadable } from './inbox.js';
import { SupersededError } from './superseded-error.js';

/** Published and waited for at once; well below the publisher's bound on unconfirmed messages. */
export const OUTBOX_SLICE = 500;
/** A header table has 64 KiB for everything. */
const DETAIL_CHARACTERS_MAX = 1_000;

export function toOutboxMessage({ envelope, attempt, released }: Publication): OutboxMessage {
  return {
    id: `${envelope.id}/${attempt}`,
    exchange: EXCHANGES.notifications.name,
    routingKey: envelope.channel,
    headers: { [HEADERS.attempt]: attempt, ...(released && { [HEADERS.released]: true }) },
    body: JSON.stringify(envelope),
  };
}

/** Publishes what a commit wrote. A message that fails stays in the outbox for the next start. */
export async function publishOutbox(messages: readonly OutboxMessage[], messaging: DispatcherMessaging): Promise<void> {
  for (const slice of slices(messages)) await publishAll(slice.map(toOutgoing), messaging);
}

/** Takes out what was published. @throws SupersededError */
export async function emptyOutbox(
  epoch: number,
  published: readonly OutboxMessage[],
  store: Pick<DispatcherStore, 'markPublished'>,
): Promise<void> {
  for (const slice of slices(published)) {
    const ids = slice.map(({ id }) => id);
    if ((await store.markPublished(epoch, ids)) === 'superseded') {
      throw new SupersededError(`epoch ${epoch} is over: its outbox is the successor's`);
    }
  }
}

function* slices(messages: readonly OutboxMessage[]): Generator<readonly OutboxMessage[]> {
  for (let start = 0; start < messages.length; start += OUTBOX_SLICE) yield messages.slice(start, start + OUTBOX_SLICE);
}

/** What an earlier reign committed and did not, as far as the outbox knows, publish. */
export async function publishLeftovers(
  epoch: number,
  store: DispatcherStore,
  messaging: DispatcherMessaging,
): Promise<number> {
  let published = 0;
  for (;;) {
    const left = await store.unpublished(OUTBOX_SLICE);
    if (left.length === 0) return published;
    await publishOutbox(left, messaging);
    await emptyOutbox(epoch, left, store);
    published += left.length;
  }
}

/** Bodies that cannot be used, as they came. The dead letter's row is named by the body, so a repeat adds none. */
export async function publishUnreadable(
  unreadable: readonly Unreadable[],
  at: number,
  source: string,
  messaging: DispatcherMessaging,
): Promise<void> {
  const messages = unreadable.map(({ body, detail }) => ({
    exchange: EXCHANGES.dead.name,
    routingKey: UNPARSEABLE_KEY,
    contentType: 'application/octet-stream',
    headers: {
      [HEADERS.reason]: 'unparseable',
      [HEADERS.detail]: detail.slice(0, DETAIL_CHARACTERS_MAX),
      [HEADERS.attempt]: 0,
      [HEADERS.failedAt]: new Date(at).toISOString(),
      [HEADERS.source]: source,
    },
    body,
  }));
  for (let start = 0; start < messages.length; start += OUTBOX_SLICE) {
    await publishAll(messages.slice(start, start + OUTBOX_SLICE), messaging);
  }
}

/** Alerts that came in one message, each in one of its own. */
export async function publishApart(
  alerts: readonly unknown[],
  { headers, type }: Pick<Delivery, 'headers' | 'type'>,
  messaging: DispatcherMessaging,
): Promise<void> {
  const messages = alerts.map((alert) => ({
    exchange: EXCHANGES.alerts.name,
    routingKey: ALERT_KEY,
    headers,
    ...(type !== undefined && { type }),
    body: JSON.stringify(alert),
  }));
  for (let start = 0; start < messages.length; start += OUTBOX_SLICE) {
    await publishAll(messages.slice(start, start + OUTBOX_SLICE), messaging);
  }
}

/** Resolves when every message is confirmed and routed. All settle before it rejects: a later attempt overtakes none of them. */
async function publishAll(messages: readonly OutgoingMessage[], messaging: DispatcherMessaging): Promise<void> {
  const results = await Promise.allSettled(messages.map((message) => messaging.publish(message)));
  for (const [index, result] of results.entries()) {
    if (result.status === 'rejected') throw result.reason;
    if (result.value === 'unroutable') {
      const { exchange, routingKey } = messages[index] as OutgoingMessage;
      throw new Error(
        `exchange '${exchange}' has no queue for key '${routingKey}'; restart the service to declare the topology again`,
      );
    }
  }
}

function toOutgoing({ id, exchange, routingKey, headers, body }: OutboxMessage): OutgoingMessage {
  return { exchange, routingKey, headers, body, messageId: id };
}
