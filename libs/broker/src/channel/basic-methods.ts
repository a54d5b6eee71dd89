import { randomBytes } from 'node:crypto';
import { findField, integerOf, type Table } from '#amqp-codec';
import { ChannelError, ConnectionError } from '../errors.js';
import { FIELD_TYPE_NAMES } from '../exchanges/equivalence.js';
import type { Channel } from './channel.js';
import { REPLY_QUEUE } from './direct-reply.js';
import type { MethodHandlers } from './method-handlers.js';
import { oneLine } from './names.js';
import { UNACKED_PER_CHANNEL_MAX } from './unacked.js';

export const CONSUMERS_PER_CHANNEL_MAX = 10_000;

/** basic.publish, ack, nack and reject are read in place by the channel itself. */
export const basicMethods: MethodHandlers = {
  'basic.qos': (channel, { prefetchSize, prefetchCount, global }) => {
    if (prefetchSize !== 0) throw new ConnectionError('not-implemented', `prefetch_size!=0 (${prefetchSize})`);
    const { prefetch } = channel.deliveries;
    const isShared = global && channel.host.behaviour.globalQos === 'shared';
    if (!isShared) prefetch.perConsumer = prefetchCount;
    prefetch.shared = isShared ? prefetchCount : 0;
    channel.send('basic.qos-ok', {});
    channel.deliveries.wakeConsumers();
  },

  'basic.consume': (channel, args) => {
    const queueName = channel.queueNamed(oneLine(args.queue));
    const tag = args.consumerTag === '' ? generatedTag() : args.consumerTag;
    if (channel.deliveries.hasConsumer(tag)) {
      throw new ConnectionError('not-allowed', `attempt to reuse consumer tag '${tag}'`);
    }
    if (queueName === REPLY_QUEUE) {
      channel.deliveries.consumeReplies(tag, args.noAck);
      if (!args.nowait) channel.send('basic.consume-ok', { consumerTag: tag });
      return;
    }
    if (channel.deliveries.consumerCount >= CONSUMERS_PER_CHANNEL_MAX) {
      throw new ConnectionError(
        'not-allowed',
        `reached maximum (${CONSUMERS_PER_CHANNEL_MAX}) of consumers per channel`,
      );
    }
    const { name: virtualHost } = channel.host.virtualHost;
    const subject = `queue '${queueName}' in vhost '${virtualHost}'`;
    const priority = integerArgument(args.arguments, 'x-priority', subject) ?? 0;
    const timeoutMs = integerArgument(args.arguments, 'x-consumer-timeout', subject);
    const { noAck, exclusive } = args;
    const prefetch = channel.deliveries.prefetch.perConsumer;
    channel.deliveries.consume({ tag, queueName, noAck, exclusive, priority, prefetch, timeoutMs });
    // Deliveries begin in a later turn, so this comes first.
    if (!args.nowait) channel.send('basic.consume-ok', { consumerTag: tag });
  },

  'basic.cancel': (channel, { consumerTag, nowait }) => {
    channel.deliveries.cancel(consumerTag);
    if (!nowait) channel.send('basic.cancel-ok', { consumerTag });
  },

  // Some clients answer the broker's own basic.cancel.
  'basic.cancel-ok': () => {},

  'basic.get': (channel, { queue, noAck }) => get(channel, channel.queueNamed(oneLine(queue)), noAck),

  'basic.recover-async': (channel, { requeue }) => recover(channel, requeue),

  'basic.recover': (channel, { requeue }) => {
    recover(channel, requeue);
    channel.send('basic.recover-ok', {});
  },
};

/** The body may have to come from disk; until then nothing else is read, so that answers keep their order. */
function get(channel: Channel, queueName: string, noAck: boolean): void {
  const { host } = channel;
  if (!noAck && channel.deliveries.unacked.count >= UNACKED_PER_CHANNEL_MAX) {
    throw new ChannelError(
      'precondition-failed',
      `the channel holds ${UNACKED_PER_CHANNEL_MAX} unsettled deliveries; acknowledge some before the next basic.get`,
    );
  }
  let isAnswered = false;
  let isHeld = false;
  host.virtualHost.get(queueName, noAck, host.owner, (ready) => {
    isAnswered = true;
    if (channel.isAlive) channel.deliveries.answerGet(ready, noAck);
    else if (ready !== undefined && !noAck) ready.queue.requeue([ready.sequence]);
    if (isHeld) host.releaseIntake();
  });
  if (isAnswered) return;
  isHeld = true;
  host.holdIntake();
}

function recover(channel: Channel, requeue: boolean): void {
  if (!requeue) throw new ConnectionError('not-implemented', 'requeue=false');
  channel.deliveries.recover();
}

function generatedTag(): string {
  return `amq.ctag-${randomBytes(16).toString('base64url')}`;
}

function integerArgument(args: Table, name: string, subject: string): number | undefined {
  const field = findField(args, name);
  if (field === undefined) return undefined;
  const value = integerOf(field);
  if (value !== undefined) return value;
  throw new ChannelError(
    'precondition-failed',
    `invalid arg '${name}' for ${subject}: "expected integer, got ${FIELD_TYPE_NAMES[field.tag]}"`,
  );
}
