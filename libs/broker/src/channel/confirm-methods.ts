import type { MethodHandlers } from './method-handlers.js';

export const confirmMethods: MethodHandlers = {
  'confirm.select': (channel, { nowait }) => {
    channel.publishing.selectConfirms();
    if (!nowait) channel.send('confirm.select-ok', {});
  },
};
