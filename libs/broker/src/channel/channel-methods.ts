import { ConnectionError } from '../errors.js';
import type { MethodHandlers } from './method-handlers.js';

export const channelMethods: MethodHandlers = {
  'channel.open': () => {
    throw new ConnectionError('channel-error', "second 'channel.open' seen");
  },

  'channel.flow': (channel, { active }) => {
    if (!active) throw new ConnectionError('not-implemented', 'active=false');
    channel.send('channel.flow-ok', { active });
  },

  'channel.close': (channel) => channel.close(),
};
