import {
  contentFramesBytes,
  encodeMethod,
  encodeProperties,
  FRAME_BODY,
  FRAME_END,
  FRAME_HEAD_BYTES,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FRAME_OVERHEAD,
  METHODS,
  type MethodName,
  PROTOCOL_HEADER,
  type Properties,
  shapeOf,
  writeContent,
  writeFrameHead,
} from '#amqp-codec';
import { TextReader } from './field-text.js';

/** What one line of a dialogue sends. */
export interface Sending {
  bytes: Buffer;
  /** Undefined for raw bytes and single frames. */
  method?: MethodName;
  /** Names of the methods that answer it; none when nobody answers. */
  answers: string[];
}

/** The line after the arrow: a method with its content, a frame, or raw bytes. Throws when it cannot be read. */
export function sendingOf(text: string, channel: number, frameMax: number): Sending {
  const reader = new TextReader(text);
  const word = reader.word();
  if (word in METHODS) return methodSending(word as MethodName, reader, channel, frameMax);
  const bytes = frameOf(word, reader, channel);
  if (!reader.isAtEnd) throw new Error(`'${reader.text.slice(reader.at)}' is left over in '${text}'`);
  return { bytes, answers: [] };
}

function frameOf(word: string, reader: TextReader, channel: number): Buffer {
  switch (word) {
    case 'protocol-header':
      return PROTOCOL_HEADER;
    case 'raw':
      return rawBytes(reader);
    case 'heartbeat':
      return frame(FRAME_HEARTBEAT, channel, Buffer.alloc(0));
    case 'frame':
      return frame(Number(reader.word()), channel, rawBytes(reader));
    case 'method':
      return frame(FRAME_METHOD, channel, Buffer.concat([idBytes(reader.word()), rawBytes(reader)]));
    case 'header':
      return frame(FRAME_HEADER, channel, headerBytes(reader));
    case 'body':
      return frame(FRAME_BODY, channel, rawBytes(reader));
    default:
      throw new Error(`unknown word '${word}' in '${reader.text}'`);
  }
}

/** Quoted text, hex digits and runs (`x*10`) one after the other, up to the end. */
function rawBytes(reader: TextReader): Buffer {
  const parts: Buffer[] = [];
  while (!reader.isAtEnd) {
    const isQuoted = reader.peek() === '"';
    const start = reader.at;
    const word = reader.word();
    const isText = isQuoted || reader.text.slice(start, reader.at).includes('*');
    parts.push(Buffer.from(word, isText ? 'utf8' : 'hex'));
  }
  return Buffer.concat(parts);
}

/** `50.10` */
function idBytes(word: string): Buffer {
  const [classId, methodId] = word.split('.').map(Number) as [number, number];
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(classId, 0);
  bytes.writeUInt16BE(methodId, 2);
  return bytes;
}

/** `class=60 size=5 weight=0 : properties`, or `: raw 8000...` for properties as bytes. */
function headerBytes(reader: TextReader): Buffer {
  const numbers: Record<string, number> = { class: 60, weight: 0, size: 0 };
  while (!reader.isAtEnd && !reader.takes(':')) {
    const key = reader.word(' =');
    if (!reader.takes('=') || !(key in numbers)) throw new Error(`no part of a header: '${key}'`);
    numbers[key] = Number(reader.word());
  }
  const head = Buffer.alloc(12);
  head.writeUInt16BE(numbers['class']!, 0);
  head.writeUInt16BE(numbers['weight']!, 2);
  head.writeBigUInt64BE(BigInt(numbers['size']!), 4);
  if (reader.text.slice(reader.at).trim().startsWith('raw ')) {
    reader.word();
    return Buffer.concat([head, rawBytes(reader)]);
  }
  return Buffer.concat([head, encodeProperties(readProperties(reader))]);
}

export function frame(type: number, channel: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(payload.length + FRAME_OVERHEAD);
  writeFrameHead(bytes, 0, type, channel, payload.length);
  bytes.set(payload, FRAME_HEAD_BYTES);
  bytes[bytes.length - 1] = FRAME_END;
  return bytes;
}

function methodSending(method: MethodName, reader: TextReader, channel: number, frameMax: number): Sending {
  const args = readArguments(method, reader);
  // What the table of methods says of each field is checked when it is written.
  const bytes = [encodeMethod(channel, method, args as never)];
  if (shapeOf(method).hasContent) bytes.push(contentOf(reader, channel, frameMax));
  else if (!reader.isAtEnd) throw new Error(`'${reader.text.slice(reader.at)}' is left over in '${reader.text}'`);
  return { bytes: Buffer.concat(bytes), method, answers: args['nowait'] === true ? [] : answersOf(method) };
}

/** Words fill the fields in their order, flags are named, anything may be written `field=value`; absent ones are zero. */
function readArguments(method: MethodName, reader: TextReader): Record<string, unknown> {
  const fields = shapeOf(method).fields.filter(([name]) => name !== '');
  const types = new Map(fields);
  const args: Record<string, unknown> = {};
  const positional = fields.filter(([, type]) => type !== 'bit' && type !== 'table').map(([name]) => name);
  while (!reader.isAtEnd && reader.peek() !== ':') {
    if (reader.peek() === '{') {
      const table = fields.find(([, type]) => type === 'table');
      if (!table) throw new Error(`${method} has no table`);
      args[table[0]] = reader.table();
      continue;
    }
    const isQuoted = reader.peek() === '"';
    const word = reader.word(' =');
    if (!isQuoted && types.has(word) && reader.text[reader.at] === '=') {
      reader.at++;
      args[word] = types.get(word) === 'table' ? reader.table() : argumentOf(types.get(word)!, readWord(reader));
    } else if (!isQuoted && types.get(word) === 'bit') args[word] = true;
    else {
      const name = positional.find((each) => !(each in args));
      if (name === undefined) throw new Error(`${method} has no field for '${word}'`);
      args[name] = argumentOf(types.get(name)!, word);
    }
  }
  for (const [name, type] of fields) args[name] ??= zeroOf(type);
  return args;
}

function readWord(reader: TextReader): string {
  return reader.word(' ');
}

function argumentOf(type: string, word: string): unknown {
  if (type === 'bit') return word === 'true';
  if (type === 'longstr') return Buffer.from(word);
  if (type === 'shortstr') return word;
  const number = Number(word);
  if (Number.isNaN(number)) throw new Error(`'${word}' is no number`);
  return number;
}

function zeroOf(type: string): unknown {
  if (type === 'bit') return false;
  if (type === 'longstr') return Buffer.alloc(0);
  if (type === 'shortstr') return '';
  return type === 'table' ? [] : 0;
}

/** `: property=value ... "body"`, all of it optional. */
function contentOf(reader: TextReader, channel: number, frameMax: number): Buffer {
  reader.takes(':');
  const properties = encodeProperties(readProperties(reader));
  const body = rawBytes(reader);
  const bytes = Buffer.alloc(contentFramesBytes(properties.length, body.length, frameMax));
  writeContent(bytes, 0, channel, properties, body, frameMax);
  return bytes;
}

const PROPERTY_NAMES = new Set(
  'contentType contentEncoding headers deliveryMode priority correlationId replyTo expiration messageId timestamp type userId appId clusterId'.split(
    ' ',
  ),
);

function readProperties(reader: TextReader): Properties {
  const properties: Record<string, unknown> = {};
  for (;;) {
    reader.skipSpace();
    const named = /^(\w+)=/.exec(reader.text.slice(reader.at));
    if (!named) return properties;
    const name = named[1]!;
    if (!PROPERTY_NAMES.has(name)) throw new Error(`no property '${name}' in '${reader.text}'`);
    reader.at += named[0].length;
    if (name === 'headers') properties[name] = reader.table();
    else if (name === 'timestamp') properties[name] = BigInt(reader.word());
    else properties[name] = name === 'deliveryMode' || name === 'priority' ? Number(reader.word()) : reader.word(' ');
  }
}

export function answersOf(method: MethodName): string[] {
  if (method === 'basic.get') return ['basic.get-ok', 'basic.get-empty'];
  // The server's answer to start-ok, tune-ok is awaited by name where a dialogue makes its own handshake.
  return shapeOf(method).isSynchronous ? [`${method}-ok`] : [];
}
