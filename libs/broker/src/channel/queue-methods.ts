import type { MethodArguments } from '#amqp-codec';
import type { Binding } from '../virtual-host.js';
import type { Channel } from './channel.js';
import type { MethodHandlers } from './method-handlers.js';
import { oneLine } from './names.js';

export const queueMethods: MethodHandlers = {
  'queue.declare': (channel, args) => {
    const { virtualHost, owner } = channel.host;
    const declared = virtualHost.declareQueue({ ...args, name: oneLine(args.queue) }, owner);
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

/** With neither queue nor key given, the queue last declared is bound under its own name. */
function bindingOf(channel: Channel, args: MethodArguments<'queue.unbind'>): Binding {
  const destination = channel.queueNamed(oneLine(args.queue));
  const routingKey = args.queue === '' && args.routingKey === '' ? destination : args.routingKey;
  return { source: oneLine(args.exchange), destination, routingKey, arguments: args.arguments };
}
