import { ByteReader, ByteWriter } from './bytes.js';
import { CodecError } from './errors.js';
import { readTable, writeTable } from './fields.js';
import { FRAME_END, FRAME_HEAD_BYTES, FRAME_METHOD, FRAME_OVERHEAD, writeFrameHead } from './frames.js';
import {
  METHODS,
  type Method,
  type MethodArguments,
  type MethodName,
  methodKey,
  shapeOf,
  type WireType,
  type WireTypes,
} from './methods.js';

/** A whole method frame. Throws CodecError `syntax` for a short string above 255 bytes. */
export function encodeMethod<Name extends MethodName>(
  channel: number,
  name: Name,
  args: MethodArguments<Name>,
): Buffer {
  const writer = new ByteWriter();
  codecs[name].write(writer, args as LooseArguments);
  const payload = writer.view();
  const frame = Buffer.allocUnsafe(payload.length + FRAME_OVERHEAD);
  writeFrameHead(frame, 0, FRAME_METHOD, channel, payload.length);
  frame.set(payload, FRAME_HEAD_BYTES);
  frame[frame.length - 1] = FRAME_END;
  return frame;
}

/**
 * Reads the payload of a method frame. Throws CodecError: `unknown-method`, or `frame` when its fields cannot be read or
 * bytes are left over (RabbitMQ answers 501 to both).
 */
export function decodeMethod(bytes: Buffer, start = 0, end = bytes.length): Method {
  const reader = new ByteReader(bytes, start, end);
  const key = reader.uint32();
  const name = namesByKey.get(key);
  if (name === undefined) {
    throw new CodecError('unknown-method', `unknown method ${key >>> 16}.${key & 0xffff} (class.method)`);
  }
  return { name, args: readFields(name, reader) } as unknown as Method;
}

function readFields(name: MethodName, reader: ByteReader): LooseArguments {
  try {
    const args = codecs[name].read(reader);
    if (reader.isAtEnd) return args;
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new CodecError('frame', `cannot decode ${name}: ${error.message}`);
  }
  throw new CodecError('frame', `cannot decode ${name}: ${reader.end - reader.offset} bytes are left over`);
}

type LooseArguments = Record<string, unknown>;

interface MethodCodec {
  write(writer: ByteWriter, args: LooseArguments): void;
  read(reader: ByteReader): LooseArguments;
}

type Write = (writer: ByteWriter, args: LooseArguments) => void;
type Read = (reader: ByteReader, into: LooseArguments) => void;

type Scalar = Exclude<WireType, 'bit'>;
type ScalarCodec<Type extends Scalar> = {
  zero: WireTypes[Type];
  write(writer: ByteWriter, value: WireTypes[Type]): void;
  read(reader: ByteReader): WireTypes[Type];
};

const SCALARS: { [Type in Scalar]: ScalarCodec<Type> } = {
  octet: { zero: 0, write: (writer, value) => writer.uint8(value), read: (reader) => reader.uint8() },
  short: { zero: 0, write: (writer, value) => writer.uint16(value), read: (reader) => reader.uint16() },
  long: { zero: 0, write: (writer, value) => writer.uint32(value), read: (reader) => reader.uint32() },
  longlong: {
    zero: 0,
    write: (writer, value) => {
      writer.uint32(Math.floor(value / 2 ** 32));
      writer.uint32(value % 2 ** 32);
    },
    read: (reader) => reader.uint32() * 2 ** 32 + reader.uint32(),
  },
  shortstr: { zero: '', write: (writer, value) => writer.shortString(value), read: (reader) => reader.shortString() },
  longstr: {
    zero: Buffer.alloc(0),
    write: (writer, value) => writer.longBytes(value),
    read: (reader) => reader.longBytes(),
  },
  table: { zero: [], write: (writer, value) => writeTable(writer, value), read: (reader) => readTable(reader) },
};

const names = Object.keys(METHODS) as MethodName[];
const namesByKey = new Map(names.map((name) => [methodKey(name), name]));
const codecs = Object.fromEntries(names.map((name) => [name, compile(name)])) as Record<MethodName, MethodCodec>;

/** One step per field, or per octet of adjacent bits; built once per method. */
function compile(name: MethodName): MethodCodec {
  const key = methodKey(name);
  const writes: Write[] = [];
  const reads: Read[] = [];
  let bits: string[] = [];
  for (const [field, type] of shapeOf(name).fields) {
    if (type === 'bit') {
      bits.push(field);
      if (bits.length === 8) bits = flushBits(bits, writes, reads);
      continue;
    }
    bits = flushBits(bits, writes, reads);
    addScalar(field, type, writes, reads);
  }
  flushBits(bits, writes, reads);
  return {
    write: (writer, args) => {
      writer.uint32(key);
      for (const write of writes) write(writer, args);
    },
    read: (reader) => {
      const args: LooseArguments = {};
      for (const read of reads) read(reader, args);
      return args;
    },
  };
}

function addScalar(field: string, type: Scalar, writes: Write[], reads: Read[]): void {
  const codec = SCALARS[type] as ScalarCodec<Scalar>;
  if (field === '') {
    writes.push((writer) => codec.write(writer, codec.zero as never));
    reads.push((reader) => void codec.read(reader));
    return;
  }
  writes.push((writer, args) => codec.write(writer, args[field] as never));
  reads.push((reader, into) => {
    into[field] = codec.read(reader);
  });
}

/** Adjacent bits share an octet, the first in its lowest bit. */
function flushBits(bits: string[], writes: Write[], reads: Read[]): string[] {
  if (bits.length === 0) return bits;
  writes.push((writer, args) => {
    let octet = 0;
    for (let index = 0; index < bits.length; index++) if (args[bits[index]!]) octet |= 1 << index;
    writer.uint8(octet);
  });
  reads.push((reader, into) => {
    const octet = reader.uint8();
    for (let index = 0; index < bits.length; index++) {
      if (bits[index] !== '') into[bits[index]!] = (octet & (1 << index)) !== 0;
    }
  });
  return [];
}
