import { hasProperty, peekProperty } from '#amqp-codec';
import { ChannelError } from '../errors.js';
import { EXPIRY_MS_MAX } from './arguments.js';

/** The `expiration` property in milliseconds. Throws 406 in RabbitMQ's words when it is no whole number in range. */
export function readExpirationMs(properties: Buffer): number | undefined {
  if (!hasProperty(properties, 'expiration')) return undefined;
  const text = peekProperty(properties, 'expiration') ?? '';
  const flaw = expirationFlaw(text);
  if (flaw !== undefined) throw new ChannelError('precondition-failed', `invalid expiration '${text}': ${flaw}`);
  return Number(text);
}

function expirationFlaw(text: string): string | undefined {
  const digits = /^[+-]?\d+/.exec(text)?.[0];
  if (digits === undefined) return 'no_integer';
  if (digits.length < text.length) return `{leftover_string,"${text.slice(digits.length)}"}`;
  const value = Number(digits);
  if (value < 0) return `{value_negative,${digits}}`;
  return value > EXPIRY_MS_MAX ? `{value_too_large,${digits}}` : undefined;
}
