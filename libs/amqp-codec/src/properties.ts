import { ByteReader, ByteWriter } from './bytes.js';
import { CodecError } from './errors.js';
import { checkTable, readTable, type Table, writeTable } from './fields.js';

type PropertyType = 'shortstr' | 'table' | 'octet' | 'timestamp';

interface PropertyTypes {
  shortstr: string;
  table: Table;
  octet: number;
  /** Seconds. */
  timestamp: bigint;
}

/** The basic class's properties in wire order; the first has flag bit 15. 0-9-1 section 4.2.6.1. */
const PROPERTIES = [
  ['contentType', 'shortstr'],
  ['contentEncoding', 'shortstr'],
  ['headers', 'table'],
  ['deliveryMode', 'octet'],
  ['priority', 'octet'],
  ['correlationId', 'shortstr'],
  ['replyTo', 'shortstr'],
  ['expiration', 'shortstr'],
  ['messageId', 'shortstr'],
  ['timestamp', 'timestamp'],
  ['type', 'shortstr'],
  ['userId', 'shortstr'],
  ['appId', 'shortstr'],
  ['clusterId', 'shortstr'],
] as const satisfies readonly (readonly [string, PropertyType])[];

type PropertyEntry = (typeof PROPERTIES)[number];
export type PropertyName = PropertyEntry[0];

/** Properties of a message; absent ones are undefined. */
export type Properties = { -readonly [Each in PropertyEntry as Each[0]]?: PropertyTypes[Each[1]] };

const TOP_FLAG_BIT = 15;
/** Bits 1 and 0 belong to no property; bit 0 would announce another flag word, which the basic class has not. */
const UNKNOWN_FLAGS = 0b11;

/** `bytes` as in `Message.properties`: flag word and list. Throws CodecError `syntax`. */
export function decodeProperties(bytes: Buffer): Properties {
  const reader = new ByteReader(bytes);
  const flags = readFlags(reader);
  const properties: Record<string, unknown> = {};
  PROPERTIES.forEach(([name, type], index) => {
    if (isSet(flags, index)) properties[name] = readProperty(reader, type);
  });
  checkEnd(reader);
  return properties as Properties;
}

export function encodeProperties(properties: Properties): Buffer {
  const writer = new ByteWriter();
  let flags = 0;
  PROPERTIES.forEach(([name], index) => {
    if (properties[name] !== undefined) flags |= flagOf(index);
  });
  writer.uint16(flags);
  for (const [name, type] of PROPERTIES) {
    const value = properties[name];
    if (value !== undefined) writeProperty(writer, type, value);
  }
  return writer.copy();
}

/** The flag word alone: which properties are there. */
export function peekFlags(bytes: Buffer): number {
  return bytes.length < 2 ? 0 : (bytes[0]! << 8) | bytes[1]!;
}

/** Whether a property is there, without reading the list. */
export function hasProperty(bytes: Buffer, name: PropertyName): boolean {
  return (peekFlags(bytes) & flagsByName[name]) !== 0;
}

/** Reads one property and skips those before it; nothing is decoded for those that are absent. */
export function peekProperty<Name extends PropertyName>(bytes: Buffer, name: Name): Properties[Name] {
  const flags = peekFlags(bytes);
  if ((flags & flagsByName[name]) === 0) return undefined;
  const reader = new ByteReader(bytes, 2);
  for (let index = 0; index < PROPERTIES.length; index++) {
    if (!isSet(flags, index)) continue;
    const [each, type] = PROPERTIES[index]!;
    if (each === name) return readProperty(reader, type) as Properties[Name];
    skipProperty(reader, type);
  }
  return undefined;
}

const FLAG_CONTENT_TYPE = 1 << 15;
const FLAG_CONTENT_ENCODING = 1 << 14;
const FLAG_HEADERS = 1 << 13;
const FLAG_DELIVERY_MODE = 1 << 12;

/** delivery_mode (2 is persistent); 1 when it is not given. Allocates nothing. */
export function peekDeliveryMode(bytes: Buffer): number {
  const flags = peekFlags(bytes);
  if ((flags & FLAG_DELIVERY_MODE) === 0) return 1;
  let at = 2;
  if (flags & FLAG_CONTENT_TYPE) at += 1 + (bytes[at] ?? 0);
  if (flags & FLAG_CONTENT_ENCODING) at += 1 + (bytes[at] ?? 0);
  if (flags & FLAG_HEADERS) at += 4 + (at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0);
  return bytes[at] ?? 1;
}

/** Where the headers begin, with the four bytes of their length; -1 when there are none. Of properties that were checked. */
export function peekHeadersAt(bytes: Buffer): number {
  const flags = peekFlags(bytes);
  if ((flags & FLAG_HEADERS) === 0) return -1;
  let at = 2;
  if (flags & FLAG_CONTENT_TYPE) at += 1 + bytes[at]!;
  if (flags & FLAG_CONTENT_ENCODING) at += 1 + bytes[at]!;
  return at;
}

/** Refuses what `decodeProperties` would refuse, without building it: what is stored can be read later. */
export function checkProperties(bytes: Buffer): void {
  // Nothing but a delivery mode: most publishes.
  if (bytes.length === 3 && peekFlags(bytes) === FLAG_DELIVERY_MODE) return;
  const reader = new ByteReader(bytes);
  const flags = readFlags(reader);
  for (let index = 0; index < PROPERTIES.length; index++) {
    if (!isSet(flags, index)) continue;
    const type = PROPERTIES[index]![1];
    if (type === 'table') checkTable(reader);
    else skipProperty(reader, type);
  }
  checkEnd(reader);
}

function readFlags(reader: ByteReader): number {
  const flags = reader.uint16();
  if (flags & UNKNOWN_FLAGS) throw new CodecError('syntax', `unknown property flags in 0x${flags.toString(16)}`);
  return flags;
}

function checkEnd(reader: ByteReader): void {
  if (!reader.isAtEnd) throw new CodecError('syntax', `${reader.end - reader.offset} bytes left over after properties`);
}

function flagOf(index: number): number {
  return 1 << (TOP_FLAG_BIT - index);
}

function isSet(flags: number, index: number): boolean {
  return (flags & flagOf(index)) !== 0;
}

const flagsByName = Object.fromEntries(PROPERTIES.map(([name], index) => [name, flagOf(index)])) as Record<
  PropertyName,
  number
>;

function readProperty(reader: ByteReader, type: PropertyType): PropertyTypes[PropertyType] {
  switch (type) {
    case 'shortstr':
      return reader.shortString();
    case 'table':
      return readTable(reader);
    case 'octet':
      return reader.uint8();
    case 'timestamp':
      return reader.uint64();
  }
}

function writeProperty(writer: ByteWriter, type: PropertyType, value: PropertyTypes[PropertyType]): void {
  switch (type) {
    case 'shortstr':
      writer.shortString(value as string);
      break;
    case 'table':
      writeTable(writer, value as Table);
      break;
    case 'octet':
      writer.uint8(value as number);
      break;
    case 'timestamp':
      writer.uint64(value as bigint);
      break;
  }
}

function skipProperty(reader: ByteReader, type: PropertyType): void {
  switch (type) {
    case 'shortstr':
      reader.take(reader.uint8());
      return;
    case 'table':
      reader.take(reader.uint32());
      return;
    case 'octet':
      reader.take(1);
      return;
    case 'timestamp':
      reader.take(8);
  }
}
