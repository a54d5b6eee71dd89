import type { MethodHandlers } from './method-handlers.js';

/** Of AMQP 0-8; old clients ask for a ticket, which nothing looks at. */
export const accessMethods: MethodHandlers = {
  'access.request': (channel) => channel.send('access.request-ok', { ticket: 1 }),
};
