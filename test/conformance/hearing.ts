import { decodeMethod, decodeProperties, findField, type MethodName, shapeOf, type Table } from '#amqp-codec';
import { textOfString, textOfTable } from './field-text.js';

/** A method the other side sent, in the words of a transcript. */
export interface Heard {
  name: string;
  text: string;
  hasContent: boolean;
  args: Record<string, unknown>;
}

/** The payload of a method frame; what cannot be read is shown in bytes. */
export function heardMethod(payload: Buffer): Heard {
  try {
    const { name, args } = decodeMethod(payload) as { name: MethodName; args: Record<string, unknown> };
    const text = name === 'connection.start' ? textOfStart(args) : textOfMethod(name, args);
    return { name, text, hasContent: shapeOf(name).hasContent === true, args };
  } catch {
    const text = `method ${payload.toString('hex')}`;
    return { name: text, text, hasContent: false, args: {} };
  }
}

/** Of the server's properties only what clients decide by: versions and names differ by nature, the order of mechanisms by build. */
function textOfStart({
  versionMajor,
  versionMinor,
  serverProperties,
  mechanisms,
  locales,
}: Record<string, unknown>): string {
  const capabilities = findField(serverProperties as Table, 'capabilities');
  const product = findField(serverProperties as Table, 'product');
  const shown: Table = [
    ...(capabilities ? [['capabilities', capabilities] as const] : []),
    ...(product ? [['product', product] as const] : []),
  ];
  const sorted = String(mechanisms).split(' ').sort().join(' ');
  return `connection.start ${versionMajor}.${versionMinor} ${sorted} ${locales} ${textOfTable(shown)}`;
}

function textOfMethod(name: MethodName, args: Record<string, unknown>): string {
  const parts = shapeOf(name).fields.flatMap(([field, type]) => {
    if (field === '') return [];
    const value = args[field];
    switch (type) {
      case 'bit':
        return value === true ? [field] : [];
      case 'table':
        return [`${field}=${textOfTable(value as Table)}`];
      case 'longstr':
        return [`${field}=${textOfString((value as Buffer).toString('latin1'))}`];
      case 'shortstr':
        return [`${field}=${textOfString(value as string)}`];
      default:
        return [`${field}=${value}`];
    }
  });
  return [name, ...parts].join(' ');
}

/** ` : properties "body"` */
export function textOfContent(properties: Buffer, bodies: readonly Buffer[]): string {
  const body = Buffer.concat(bodies);
  const frames = bodies.length > 1 ? ` in ${bodies.length} frames` : '';
  const text = body.toString('utf8');
  const shown = Buffer.from(text).equals(body) ? textOfString(text) : `x:${body.toString('hex')}`;
  return ` : ${textOfProperties(properties)}${shown.startsWith('"') || shown.startsWith('x:') ? shown : `"${shown}"`}${frames}`;
}

function textOfProperties(bytes: Buffer): string {
  return Object.entries(decodeProperties(bytes))
    .map(([name, value]) => {
      if (name === 'headers') return `headers=${textOfTable(value as Table)} `;
      return `${name}=${typeof value === 'string' ? textOfString(value) : value} `;
    })
    .join('');
}

export function replyToOf(properties: Buffer): string | undefined {
  return decodeProperties(properties).replyTo;
}
