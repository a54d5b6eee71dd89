import { ByteReader, ByteWriter } from './bytes.js';
import { CodecError } from './errors.js';

/**
 * A value of a field table, discriminated by its tag on the wire (RabbitMQ's and Qpid's tag set, which is not that of the
 * 0-9-1 PDF), so that what was received can be sent on unchanged. 64-bit integers are bigint; T counts seconds.
 */
export type Field =
  | { readonly tag: 't'; readonly value: boolean }
  | { readonly tag: 'b' | 'B' | 's' | 'u' | 'I' | 'i'; readonly value: number }
  | { readonly tag: 'l' | 'L' | 'T'; readonly value: bigint }
  | { readonly tag: 'f' | 'd'; readonly value: number }
  | { readonly tag: 'D'; readonly scale: number; readonly value: number }
  | { readonly tag: 'S'; readonly value: string }
  | { readonly tag: 'x'; readonly value: Buffer }
  | { readonly tag: 'A'; readonly value: readonly Field[] }
  | { readonly tag: 'F'; readonly value: Table }
  | { readonly tag: 'V' };

export type FieldTag = Field['tag'];

/** A field table: order and duplicate keys are kept as received. */
export type Table = readonly (readonly [key: string, field: Field])[];

/** Tables and arrays inside one another; deeper ones are refused, a recursive reader would run out of stack. */
export const FIELD_DEPTH_MAX = 100;

/** Reads a table that begins with its 32-bit length at `offset`. Throws CodecError `syntax`. */
export function decodeTable(bytes: Buffer, offset = 0): Table {
  return readTable(new ByteReader(bytes, offset));
}

/** Reads a table given without its length, as AMQPLAIN sends it. */
export function decodeTableEntries(bytes: Buffer): Table {
  return readEntries(new ByteReader(bytes), 0);
}

/** Length and entries. */
export function encodeTable(table: Table): Buffer {
  const writer = new ByteWriter();
  writeTable(writer, table);
  return writer.copy();
}

export function readTable(reader: ByteReader, depth = 0): Table {
  return readEntries(readerOfPart(reader, depth), depth);
}

export function writeTable(writer: ByteWriter, table: Table): void {
  writer.measured(() => {
    for (const [key, field] of table) {
      writer.shortString(key);
      writeField(writer, field);
    }
  });
}

/** Checks a table without building it; the reader stands behind it afterwards. */
export function checkTable(reader: ByteReader, depth = 0): void {
  const part = readerOfPart(reader, depth);
  while (!part.isAtEnd) {
    part.take(part.uint8());
    checkField(part, depth);
  }
}

function readEntries(reader: ByteReader, depth: number): Table {
  const entries: (readonly [string, Field])[] = [];
  while (!reader.isAtEnd) entries.push([reader.shortString(), readField(reader, depth)]);
  return entries;
}

function readerOfPart(reader: ByteReader, depth: number): ByteReader {
  if (depth > FIELD_DEPTH_MAX) throw new CodecError('syntax', `tables nested deeper than ${FIELD_DEPTH_MAX}`);
  const length = reader.uint32();
  const start = reader.take(length);
  return new ByteReader(reader.bytes, start, start + length);
}

function readField(reader: ByteReader, depth: number): Field {
  const tag = String.fromCharCode(reader.uint8()) as FieldTag;
  const { bytes } = reader;
  switch (tag) {
    case 't':
      return { tag, value: reader.uint8() !== 0 };
    case 'b':
      return { tag, value: bytes.readInt8(reader.take(1)) };
    case 'B':
      return { tag, value: reader.uint8() };
    case 's':
      return { tag, value: bytes.readInt16BE(reader.take(2)) };
    case 'u':
      return { tag, value: reader.uint16() };
    case 'I':
      return { tag, value: bytes.readInt32BE(reader.take(4)) };
    case 'i':
      return { tag, value: reader.uint32() };
    case 'l':
    case 'L':
      return { tag, value: bytes.readBigInt64BE(reader.take(8)) };
    case 'T':
      return { tag, value: reader.uint64() };
    case 'f':
      return { tag, value: bytes.readFloatBE(reader.take(4)) };
    case 'd':
      return { tag, value: bytes.readDoubleBE(reader.take(8)) };
    case 'D':
      return { tag, scale: reader.uint8(), value: bytes.readInt32BE(reader.take(4)) };
    case 'S':
      return { tag, value: reader.longText() };
    case 'x':
      // A copy: a small value must not keep the received chunk in memory.
      return { tag, value: Buffer.from(reader.longBytes()) };
    case 'A': {
      const part = readerOfPart(reader, depth + 1);
      const value: Field[] = [];
      while (!part.isAtEnd) value.push(readField(part, depth + 1));
      return { tag, value };
    }
    case 'F':
      return { tag, value: readTable(reader, depth + 1) };
    case 'V':
      return { tag };
    default:
      return unknownTag(tag);
  }
}

function writeField(writer: ByteWriter, field: Field): void {
  writer.uint8(field.tag.charCodeAt(0));
  switch (field.tag) {
    case 't':
      writer.uint8(field.value ? 1 : 0);
      break;
    case 'b':
    case 'B':
      writer.uint8(field.value & 0xff);
      break;
    case 's':
    case 'u':
      writer.uint16(field.value);
      break;
    case 'I':
    case 'i':
      writer.uint32(field.value);
      break;
    case 'l':
    case 'L':
    case 'T':
      writer.uint64(field.value);
      break;
    case 'f':
      writer.float(field.value);
      break;
    case 'd':
      writer.double(field.value);
      break;
    case 'D':
      writer.uint8(field.scale);
      writer.uint32(field.value);
      break;
    case 'S':
      writer.longText(field.value);
      break;
    case 'x':
      writer.longBytes(field.value);
      break;
    case 'A':
      writer.measured(() => {
        for (const element of field.value) writeField(writer, element);
      });
      break;
    case 'F':
      writeTable(writer, field.value);
      break;
    case 'V':
      return;
    default:
      unknownTag(field);
      break;
  }
}

const FIXED_BYTES = { t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, l: 8, L: 8, T: 8, f: 4, d: 8, D: 5, V: 0 } as const;

function checkField(reader: ByteReader, depth: number): void {
  const tag = String.fromCharCode(reader.uint8()) as FieldTag;
  switch (tag) {
    case 'S':
    case 'x':
      reader.take(reader.uint32());
      return;
    case 'A': {
      const part = readerOfPart(reader, depth + 1);
      while (!part.isAtEnd) checkField(part, depth + 1);
      return;
    }
    case 'F':
      checkTable(reader, depth + 1);
      break;
    default: {
      const size: number | undefined = FIXED_BYTES[tag];
      if (size === undefined) unknownTag(tag as never);
      reader.take(size);
    }
  }
}

function unknownTag(tag: never): never {
  throw new CodecError('syntax', `unknown field type ${JSON.stringify(tag)} in a table`);
}

/** The first field of that key, as RabbitMQ looks it up. */
export function findField(table: Table, key: string): Field | undefined {
  for (const entry of table) if (entry[0] === key) return entry[1];
  return undefined;
}

/** The value of an integer field of any width; beyond 2^53 the nearest double. `undefined` for every other type. */
export function integerOf(field: Field | undefined): number | undefined {
  switch (field?.tag) {
    case 'b':
    case 'B':
    case 's':
    case 'u':
    case 'I':
    case 'i':
      return field.value;
    case 'l':
    case 'L':
      return Number(field.value);
    default:
      return undefined;
  }
}

/** Equality by decoded value: integers of any width are equal, so are both floats; types are never mixed otherwise. */
export function sameField(a: Field, b: Field): boolean {
  const family = familyOf(a);
  if (family !== familyOf(b)) return false;
  switch (family) {
    case 'integer':
      return BigInt(scalarOf(a) as number | bigint) === BigInt(scalarOf(b) as number | bigint);
    case 'D':
      return scalarOf(a) === scalarOf(b) && (a as { scale: number }).scale === (b as { scale: number }).scale;
    case 'x':
      return (scalarOf(a) as Buffer).equals(scalarOf(b) as Buffer);
    case 'A':
      return sameFields(scalarOf(a) as readonly Field[], scalarOf(b) as readonly Field[]);
    case 'F':
      return sameTable(scalarOf(a) as Table, scalarOf(b) as Table);
    default:
      return scalarOf(a) === scalarOf(b);
  }
}

/** Equality of tables whatever the order of their keys. */
export function sameTable(a: Table, b: Table): boolean {
  if (a.length !== b.length) return false;
  const byKey = (x: Table[number], y: Table[number]) => (x[0] < y[0] ? -1 : x[0] > y[0] ? 1 : 0);
  const sorted = b.toSorted(byKey);
  return a.toSorted(byKey).every(([key, field], index) => {
    const [otherKey, otherField] = sorted[index]!;
    return key === otherKey && sameField(field, otherField);
  });
}

function sameFields(a: readonly Field[], b: readonly Field[]): boolean {
  return a.length === b.length && a.every((field, index) => sameField(field, b[index]!));
}

function familyOf(field: Field): 'integer' | 'float' | Exclude<FieldTag, 'l' | 'L' | 'f' | 'd'> {
  switch (field.tag) {
    case 'b':
    case 'B':
    case 's':
    case 'u':
    case 'I':
    case 'i':
    case 'l':
    case 'L':
      return 'integer';
    case 'f':
    case 'd':
      return 'float';
    default:
      return field.tag;
  }
}

function scalarOf(field: Field): unknown {
  return field.tag === 'V' ? undefined : field.value;
}
