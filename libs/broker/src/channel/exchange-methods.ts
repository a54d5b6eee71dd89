import type { MethodHandlers } from './method-handlers.js';
import { oneLine } from './names.js';

export const exchangeMethods: MethodHandlers = {
  'exchange.declare': (channel, args) => {
    channel.host.virtualHost.declareExchange({ ...args, name: oneLine(args.exchange) });
    if (!args.nowait) channel.send('exchange.declare-ok', {});
  },

  'exchange.delete': (channel, { exchange, ifUnused, nowait }) => {
    channel.host.virtualHost.deleteExchange(oneLine(exchange), ifUnused);
    if (!nowait) channel.send('exchange.delete-ok', {});
  },

  'exchange.bind': (channel, args) => {
    channel.host.virtualHost.bindExchange({
      ...args,
      source: oneLine(args.source),
      destination: oneLine(args.destination),
    });
    if (!args.nowait) channel.send('exchange.bind-ok', {});
  },

  'exchange.unbind': (channel, args) => {
    channel.host.virtualHost.unbindExchange({
      ...args,
      source: oneLine(args.source),
      destination: oneLine(args.destination),
    });
    if (!args.nowait) channel.send('exchange.unbind-ok', {});
  },
};
