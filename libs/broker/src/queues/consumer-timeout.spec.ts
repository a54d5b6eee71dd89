import { expect, it } from '@jest/globals';
import { tableOf } from '#amqp-codec';
import { behaviourOf, type Compat } from '../compat.js';
import { type QueueType, restoreQueueSettings } from './arguments.js';
import { consumerTimeoutOf, QUORUM_CONSUMER_TIMEOUT_MS as HALF_AN_HOUR } from './consumer-timeout.js';

/** In milliseconds: what the broker is configured to, the queue and the consumer ask for; then what holds for 3.13 and 4.2, and for 4.3. */
type Row = [
  type: QueueType,
  configured: number | undefined,
  queue: number | undefined,
  consumer: number | undefined,
  before43: number | undefined,
  from43: number | undefined,
];
const NONE = undefined;
const TABLE: Row[] = [
  ['classic', NONE, NONE, NONE, NONE, NONE],
  ['classic', 5, NONE, NONE, 5, NONE],
  ['classic', 5, 7, NONE, 7, NONE],
  ['classic', NONE, 7, NONE, 7, NONE],
  ['classic', 5, 0, NONE, NONE, NONE],
  ['classic', 5, 7, 9, 7, NONE],
  ['quorum', NONE, NONE, NONE, HALF_AN_HOUR, HALF_AN_HOUR],
  ['quorum', 0, NONE, NONE, NONE, NONE],
  ['quorum', 5, NONE, NONE, 5, 5],
  ['quorum', 5, 7, NONE, 7, 7],
  ['quorum', 5, 0, NONE, NONE, NONE],
  ['quorum', 5, 7, 9, 7, 9],
  ['quorum', 0, NONE, 9, NONE, 9],
];

it.each(TABLE)('%s queue, broker %s, queue %s, consumer %s: %s, in 4.3 %s', (...row) => {
  const [type, configured, queue, consumer, before43, from43] = row;
  const outcomes: Record<Compat, number | undefined> = { '3.13': before43, '4.2': before43, '4.3': from43 };
  for (const compat of Object.keys(outcomes) as Compat[]) {
    const behaviour = behaviourOf(compat);
    const args = tableOf({ 'x-queue-type': type, ...(queue !== undefined && { 'x-consumer-timeout': queue }) });
    const settings = restoreQueueSettings(args, 'q', behaviour);
    expect(consumerTimeoutOf(settings, behaviour, configured, consumer)).toBe(outcomes[compat]);
  }
});
