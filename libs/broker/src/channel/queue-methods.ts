import type { MethodArguments } from '#amqp-codec';
import { ChannelError } from '../errors.js';
import type { Binding, QueueDeclaration, VirtualHost } from '../virtual-host.js';
import type { Channel } from './channel.js';
import { isReplyName, REPLY_QUEUE } from './direct-reply.js';
import type { MethodHandlers } from './method-handlers.js';
import { oneLine } from './names.js';

type DeclaredQueue = ReturnType<VirtualHost['declareQueue']>;

export const queueMethods: MethodHandlers = {
  'queue.declare': (channel, args) => {
    const name = oneLine(args.queue);
    const declared = isReplyName(name) ? declareReplyQueue(channel, name) : declareQueue(channel, { ...args, name });
    channel.lastQueue = declared.name;
    if (args.nowait) return;
    const { messageCount, consumerCount } = declared;
    channel.send('queue.declare-ok', { queue: declared.name, messageCount, consumerCount });
  },

  'queue.bind': (channel, args) => {
    channel.host.virtualHost.bindQueue(bindingOf(channel, args), channel.host.owner);
    if (!args.nowait) channel.send('queue.bind-ok', {});
  },

  'queue.unbind': (channel, args) => {
    channel.host.virtualHost.unbindQueue(bindingOf(channel, args), channel.host.owner);
    channel.send('queue.unbind-ok', {});
  },

  'queue.purge': (channel, { queue, nowait }) => {
    const name = channel.queueNamed(oneLine(queue));
    const messageCount = channel.host.virtualHost.purgeQueue(name, channel.host.owner);
    if (!nowait) channel.send('queue.purge-ok', { messageCount });
  },

  'queue.delete': (channel, { queue, ifUnused, ifEmpty, nowait }) => {
    const name = channel.queueNamed(oneLine(queue));
    const messageCount = channel.host.virtualHost.deleteQueue(name, { ifUnused, ifEmpty }, channel.host.owner);
    if (!nowait) channel.send('queue.delete-ok', { messageCount });
  },
};

function declareQueue(channel: Channel, declaration: QueueDeclaration): DeclaredQueue {
  return channel.host.virtualHost.declareQueue(declaration, channel.host.owner);
}

/** The pseudo queue exists always, an address as long as its channel consumes replies: responders ask before a long work. */
function declareReplyQueue(channel: Channel, name: string): DeclaredQueue {
  const { replies, virtualHost } = channel.host;
  if (name !== REPLY_QUEUE && !replies.has(name)) {
    throw new ChannelError('not-found', `no queue '${name}' in vhost '${virtualHost.name}'`);
  }
  return { name, messageCount: 0, consumerCount: 1 };
}

/** With neither queue nor key given, the queue last declared is bound under its own name. */
function bindingOf(channel: Channel, args: MethodArguments<'queue.unbind'>): Binding {
  const destination = channel.queueNamed(oneLine(args.queue));
  const routingKey = args.queue === '' && args.routingKey === '' ? destination : args.routingKey;
  return { source: oneLine(args.exchange), destination, routingKey, arguments: args.arguments };
}
