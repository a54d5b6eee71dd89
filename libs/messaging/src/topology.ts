import { NOTIFICATION_CHANNELS, type NotificationChannel, RETRY_LADDER, type RetryLevel } from '#dispatch';

// Every exchange, queue and binding of the service. Names exist here only.
//
//   alerts (direct) -- alert ----------> dispatch
//   notifications (direct) -- email ---> notify.email          one per notification channel
//   notifications.retry (headers) -- level=5s ---> retry.5s    TTL, dead-letters back to notifications, key kept
//   notifications.dead (direct) -- email ---> dead             one binding per notification channel, plus `unparseable`

export const EXCHANGES = {
  alerts: { name: 'alerts', type: 'direct' },
  notifications: { name: 'notifications', type: 'direct' },
  retry: { name: 'notifications.retry', type: 'headers' },
  dead: { name: 'notifications.dead', type: 'direct' },
} as const;

/** Alerts, ticks and fences share this key (and so one queue and one order); the message property `type` tells them apart. */
export const ALERT_KEY = 'alert';
/** On `notifications.dead`: a body that could not be parsed and so has no notification channel. */
export const UNPARSEABLE_KEY = 'unparseable';

export const DISPATCH_QUEUE = 'dispatch';
export const DEAD_QUEUE = 'dead';

export function notifyQueue(channel: NotificationChannel): string {
  return `notify.${channel}`;
}

export function retryQueue(level: RetryLevel): string {
  return `retry.${level}`;
}

export interface QueueDefinition {
  name: string;
  arguments: Record<string, unknown>;
}

export interface BindingDefinition {
  exchange: string;
  queue: string;
  routingKey: string;
  arguments: Record<string, unknown>;
}

/**
 * "As often as it takes" in a number every broker reads alike: RabbitMQ 4 takes -1 as unlimited and has a limit of 20
 * when none is given, but RabbitMQ 3.x takes -1 as a limit and drops a message at its first redelivery.
 */
const DELIVERY_LIMIT = 2_147_483_647;
/** Durable and replicated where the broker is a cluster; redelivered as often as it takes. */
const SERVICE_QUEUE = { 'x-queue-type': 'quorum', 'x-delivery-limit': DELIVERY_LIMIT };
/** At-least-once needs reject-publish: a full target pushes back instead of dropping. */
const DEAD_LETTERING = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' };

export const QUEUES: readonly QueueDefinition[] = [
  { name: DISPATCH_QUEUE, arguments: { ...SERVICE_QUEUE, 'x-single-active-consumer': true } },
  ...NOTIFICATION_CHANNELS.map((channel) => ({ name: notifyQueue(channel), arguments: { ...SERVICE_QUEUE } })),
  ...RETRY_LADDER.map(({ level, delayMs }) => ({
    name: retryQueue(level),
    arguments: {
      ...SERVICE_QUEUE,
      ...DEAD_LETTERING,
      'x-message-ttl': delayMs,
      'x-dead-letter-exchange': EXCHANGES.notifications.name,
    },
  })),
  { name: DEAD_QUEUE, arguments: { ...SERVICE_QUEUE } },
];

export const BINDINGS: readonly BindingDefinition[] = [
  bind(EXCHANGES.alerts.name, DISPATCH_QUEUE, ALERT_KEY),
  ...NOTIFICATION_CHANNELS.map((channel) => bind(EXCHANGES.notifications.name, notifyQueue(channel), channel)),
  ...RETRY_LADDER.map(({ level }) => bind(EXCHANGES.retry.name, retryQueue(level), '', { 'x-match': 'all', level })),
  ...[...NOTIFICATION_CHANNELS, UNPARSEABLE_KEY].map((key) => bind(EXCHANGES.dead.name, DEAD_QUEUE, key)),
];

function bind(exchange: string, queue: string, routingKey: string, bindingArguments = {}): BindingDefinition {
  return { exchange, queue, routingKey, arguments: bindingArguments };
}

/** Headers the service puts on its messages. */
export const HEADERS = {
  /** On alerts, optional: RFC 3339. What was firing then and ended while it waited in the queue is still told. */
  acceptedAt: 'acceptedAt',
  /** On notifications: which attempt this is, from 1. */
  attempt: 'attempt',
  /** On notifications.retry: the rung of the ladder. */
  level: 'level',
  /** On notifications: let go by the waiting room. */
  released: 'released',
  /** On notifications.dead. */
  reason: 'reason',
  detail: 'detail',
  /** RFC 3339. */
  failedAt: 'failedAt',
  source: 'source',
} as const;

/** Property `type` of messages on exchange `alerts`; absent means alerts (third parties need not set it). */
export const MESSAGE_TYPES = { alerts: 'alerts', tick: 'tick', fence: 'fence' } as const;
