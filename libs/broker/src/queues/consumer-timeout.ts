import type { Behaviour } from '../compat.js';
import type { QueueSettings } from './arguments.js';

/** RabbitMQ's, for quorum queues. For classic queues it is off unless someone asks: it has cut off many a worker with a long task. */
export const QUORUM_CONSUMER_TIMEOUT_MS = 1_800_000;

/**
 * How long a delivery of a queue may stay unsettled; undefined is for ever. https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout
 * @param configuredMs of the broker: undefined when nobody chose, 0 is off
 * @param askedMs the consumer's own x-consumer-timeout, which later versions know for quorum queues
 */
export function consumerTimeoutOf(
  { type, consumerTimeoutMs }: QueueSettings,
  behaviour: Behaviour,
  configuredMs: number | undefined,
  askedMs: number | undefined,
): number | undefined {
  const isOfQuorumOnly = behaviour.consumerTimeout === 'quorum-queue-takes-back';
  if (isOfQuorumOnly && type === 'classic') return undefined;
  const timeoutMs =
    (isOfQuorumOnly ? askedMs : undefined) ??
    consumerTimeoutMs ??
    configuredMs ??
    (type === 'quorum' ? QUORUM_CONSUMER_TIMEOUT_MS : 0);
  return timeoutMs === 0 ? undefined : timeoutMs;
}
