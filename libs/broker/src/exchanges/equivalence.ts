import { type Field, type FieldTag, findField, plainField, sameField, type Table } from '#amqp-codec';
import { ChannelError } from '../errors.js';

/** Names RabbitMQ gives to field types in its error texts. */
export const FIELD_TYPE_NAMES: Record<FieldTag, string> = {
  t: 'bool',
  b: 'byte',
  B: 'unsignedbyte',
  s: 'short',
  u: 'unsignedshort',
  I: 'signedint',
  i: 'unsignedint',
  l: 'long',
  L: 'long',
  f: 'float',
  d: 'double',
  D: 'decimal',
  S: 'longstr',
  x: 'binary',
  A: 'array',
  T: 'timestamp',
  F: 'table',
  V: 'void',
};

/** Declared again with another value of a flag: 406 "inequivalent arg ...". `subject` reads like `queue 'q' in vhost '/'`. */
export function assertSameProperty(
  subject: string,
  name: string,
  received: string | boolean,
  current: string | boolean,
): void {
  if (received !== current) throw inequivalent(subject, name, `'${received}'`, `'${current}'`);
}

/** The same for one argument; integers of any width with the same value are equal. */
export function assertSameArgument(subject: string, key: string, received: Table, current: Table): void {
  const receivedField = findField(received, key);
  const currentField = findField(current, key);
  if (receivedField === undefined && currentField === undefined) return;
  if (receivedField !== undefined && currentField !== undefined) {
    if (sameField(receivedField, currentField)) return;
    throw inequivalent(subject, key, `'${valueText(receivedField)}'`, `'${valueText(currentField)}'`);
  }
  throw inequivalent(subject, key, typedText(receivedField), typedText(currentField));
}

function inequivalent(subject: string, name: string, received: string, current: string): ChannelError {
  const text = `inequivalent arg '${name}' for ${subject}: received ${received} but current is ${current}`;
  return new ChannelError('precondition-failed', text);
}

function typedText(field: Field | undefined): string {
  return field === undefined ? 'none' : `the value '${valueText(field)}' of type '${FIELD_TYPE_NAMES[field.tag]}'`;
}

function valueText(field: Field): string {
  const plain = plainField(field);
  return typeof plain === 'object' && plain !== null ? JSON.stringify(plain) : String(plain);
}
