import { decodeProperties, encodeProperties, type Field, findField, hasProperty, peekProperty } from '#amqp-codec';
import { ChannelError } from '../errors.js';
import { Message } from '../message.js';
import { FIELD_TYPE_NAMES } from './equivalence.js';

const CC_KEY = Buffer.from('\x02CC');
const BCC_KEY = Buffer.from('\x03BCC');

/**
 * Further routing keys that the sender put into the headers CC and BCC. Returns all keys, the message's own first, and the message as it
 * is stored: BCC is taken out of its headers. Throws 406 when either is no array; members that are no strings are ignored.
 */
export function readRoutingKeys(message: Message): { routingKeys: readonly string[]; message: Message } {
  const { properties } = message;
  // Almost no message has them: look for their bytes before decoding anything.
  const mayHaveKeys =
    hasProperty(properties, 'headers') && (properties.includes(CC_KEY) || properties.includes(BCC_KEY));
  if (!mayHaveKeys) return { routingKeys: [message.routingKey], message };

  const headers = peekProperty(properties, 'headers') ?? [];
  const carbonKeys = keysOf(findField(headers, 'CC'), 'CC');
  const blindField = findField(headers, 'BCC');
  const blindKeys = keysOf(blindField, 'BCC');
  return {
    routingKeys: [message.routingKey, ...carbonKeys, ...blindKeys],
    message: blindField === undefined ? message : withoutBlindHeader(message, blindKeys),
  };
}

/** The strings of an array field; none for anything else. */
export function stringsOf(field: Field | undefined): string[] {
  if (field?.tag !== 'A') return [];
  return field.value.flatMap((member) => (member.tag === 'S' ? [member.value] : []));
}

function keysOf(field: Field | undefined, header: string): string[] {
  if (field !== undefined && field.tag !== 'A') {
    const type = FIELD_TYPE_NAMES[field.tag];
    throw new ChannelError('precondition-failed', `invalid message: {unacceptable_type_in_header,"${header}",${type}}`);
  }
  return stringsOf(field);
}

function withoutBlindHeader(message: Message, blindKeys: readonly string[]): Message {
  const properties = decodeProperties(message.properties);
  const headers = properties.headers?.filter(([key]) => key !== 'BCC');
  const { exchange, routingKey, body, addressBytes } = message;
  return new Message(exchange, routingKey, encodeProperties({ ...properties, headers }), body, blindKeys, addressBytes);
}
