import type { Method, MethodArguments, MethodName } from '#amqp-codec';
import { ConnectionError } from '../errors.js';
import { accessMethods } from './access-methods.js';
import { basicMethods } from './basic-methods.js';
import type { Channel } from './channel.js';
import { channelMethods } from './channel-methods.js';
import { confirmMethods } from './confirm-methods.js';
import { exchangeMethods } from './exchange-methods.js';
import { queueMethods } from './queue-methods.js';
import { txMethods } from './tx-methods.js';

/** What a client may send on a channel, each with what it does. Errors are thrown. */
export type MethodHandlers = {
  readonly [Name in MethodName]?: (channel: Channel, args: MethodArguments<Name>) => void;
};

const HANDLERS: MethodHandlers = {
  ...accessMethods,
  ...basicMethods,
  ...channelMethods,
  ...confirmMethods,
  ...exchangeMethods,
  ...queueMethods,
  ...txMethods,
};

export function handle(channel: Channel, method: Method): void {
  const handler = HANDLERS[method.name] as ((channel: Channel, args: unknown) => void) | undefined;
  if (handler === undefined)
    throw new ConnectionError('command-invalid', `unimplemented method ${method.name} on a channel`);
  handler(channel, method.args);
}
