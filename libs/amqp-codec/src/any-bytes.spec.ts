import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fuzzing } from '#testing';
import { aProperties, aTable, someArguments } from './arbitraries.harness.js';
import { ByteReader } from './bytes.js';
import { peekContentClass } from './content.js';
import { CodecError } from './errors.js';
import { checkTable, decodeTable, decodeTableEntries, encodeTable } from './fields.js';
import { FrameParser } from './frame-parser.js';
import { FRAME_HEAD_BYTES, HEARTBEAT_FRAME } from './frames.js';
import { KEY_ACK, KEY_NACK, KEY_REJECT, PublishReader, SettlementReader } from './hot-methods.js';
import { decodeMethod, encodeMethod } from './method-codec.js';
import { METHODS, type Method, type MethodName } from './methods.js';
import { checkProperties, decodeProperties, encodeProperties, peekDeliveryMode, peekProperty } from './properties.js';

const FRAME_MAX = 4096;
const NAMES = Object.keys(METHODS) as MethodName[];
const parameters = fuzzing('codec', 1000);

/** A value, or a CodecError: anything else fails the test. */
function valueOrKind<T>(read: () => T): { value: T } | { kind: string } {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof CodecError) return { kind: error.kind };
    throw error;
  }
}

describe('any bytes', () => {
  it('are a method or a CodecError, and a method read is written and read again as the same', () => {
    fc.assert(
      fc.property(mutated(aMethodPayload), (bytes) => {
        const outcome = valueOrKind(() => decodeMethod(bytes));
        if (!('value' in outcome)) return;
        const { name, args } = outcome.value as Method;
        // Delivery tags beyond 2^53 are rounded when they are read; no channel ever gives one out.
        if (Object.values(args).some((value) => typeof value === 'number' && value > Number.MAX_SAFE_INTEGER)) return;
        const frame = encodeMethod(1, name, args as never);
        const again = decodeMethod(frame, FRAME_HEAD_BYTES, frame.length - 1);
        expect(again).toEqual(outcome.value);
      }),
      parameters,
    );
  });

  it('mean the same to the readers in place as to the method table', () => {
    const publish = new PublishReader();
    const settlement = new SettlementReader();
    const aHotMethod = fc.constantFrom('basic.publish', 'basic.ack', 'basic.nack', 'basic.reject').chain(payloadOf);
    fc.assert(
      fc.property(mutated(aHotMethod, 4), (bytes) => {
        const key = bytes.readUInt32BE(0);
        const known = valueOrKind(() => decodeMethod(bytes));
        const inPlace = valueOrKind(() => {
          if (![KEY_ACK, KEY_NACK, KEY_REJECT].includes(key)) {
            publish.read(bytes, 0, bytes.length);
            const { address, mandatory, immediate } = publish;
            const { exchange, routingKey } = address;
            return { exchange, routingKey, mandatory, immediate };
          }
          settlement.read(bytes, 0, bytes.length);
          const { deliveryTag, bits } = settlement;
          if (key === KEY_ACK) return { deliveryTag, multiple: (bits & 1) !== 0 };
          if (key === KEY_REJECT) return { deliveryTag, requeue: (bits & 1) !== 0 };
          return { deliveryTag, multiple: (bits & 1) !== 0, requeue: (bits & 2) !== 0 };
        });
        expect(inPlace).toEqual('value' in known ? { value: (known.value as Method).args } : known);
      }),
      parameters,
    );
  });

  it('are properties or a syntax error, the same for whoever checks, reads or peeks', () => {
    fc.assert(
      fc.property(mutated(aProperties.map(encodeProperties)), (bytes) => {
        const read = valueOrKind(() => decodeProperties(bytes));
        const checked = valueOrKind(() => checkProperties(bytes));
        valueOrKind(() => peekProperty(bytes, 'userId'));
        expect(peekDeliveryMode(bytes)).toBeGreaterThanOrEqual(0);
        if (!('value' in read)) {
          expect(checked).toEqual({ kind: 'syntax' });
          return;
        }
        expect(checked).toEqual({ value: undefined });
        const { userId, headers, deliveryMode = 1 } = read.value;
        expect(peekProperty(bytes, 'userId')).toEqual(userId);
        expect(peekProperty(bytes, 'headers')).toEqual(headers);
        expect(peekDeliveryMode(bytes)).toBe(deliveryMode);
        expect(decodeProperties(encodeProperties(read.value))).toEqual(read.value);
      }),
      parameters,
    );
  });

  it('are a table or a syntax error, in checking as in reading', () => {
    fc.assert(
      fc.property(mutated(aTable.map(encodeTable)), (bytes) => {
        const reader = new ByteReader(bytes);
        const read = valueOrKind(() => decodeTable(bytes));
        const checked = valueOrKind(() => checkTable(reader));
        expect(checked).toEqual('value' in read ? { value: undefined } : { kind: 'syntax' });
        if ('value' in read) expect(decodeTable(encodeTable(read.value))).toEqual(read.value);
        valueOrKind(() => decodeTableEntries(bytes));
        valueOrKind(() => peekContentClass(bytes, 0, bytes.length));
      }),
      parameters,
    );
  });

  it('are the same frames however they arrive, up to the same frame error', () => {
    const aStream = fc
      .array(fc.oneof(aMethodFrame, fc.constant(HEARTBEAT_FRAME)), { minLength: 1, maxLength: 6 })
      .map((frames) => Buffer.concat(frames));
    fc.assert(
      fc.property(mutated(aStream), fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (bytes, sizes) => {
        expect(framesOf(bytes, sizes)).toEqual(framesOf(bytes, [bytes.length || 1]));
      }),
      parameters,
    );
  });

  it('cost no more than they are long: a full frame of the worst tables is read and written', () => {
    const payloads = [
      Buffer.alloc(FULL_FRAME_BYTES, '\0V'), // as many fields as fit
      Buffer.alloc(FULL_FRAME_BYTES, Buffer.from('005300000001ff', 'hex')), // texts that are no UTF-8
      Buffer.from(
        `ff${'ff'.repeat(255)}53${(FULL_FRAME_BYTES - 261).toString(16).padStart(8, '0')}${'ff'.repeat(FULL_FRAME_BYTES - 261)}`,
        'hex',
      ),
      nestedArrays(FULL_FRAME_BYTES), // each level's length reaches to the end
    ];
    for (const entries of payloads) {
      const outcome = valueOrKind(() => decodeTableEntries(entries));
      if ('value' in outcome) expect(encodeTable(outcome.value).subarray(4).equals(entries)).toBe(true);
      else expect(outcome.kind).toBe('syntax');
    }
  });

  it('make the parser hold at most one frame', () => {
    const head = Buffer.of(3, 0, 1, 0xff, 0xff, 0xff, 0xff);
    const parser = new FrameParser(FRAME_MAX, () => {});
    expect(() => parser.push(head)).toThrow(CodecError);
    const split = new FrameParser(FRAME_MAX, () => {});
    split.push(head.subarray(0, 5));
    expect(() => split.push(head.subarray(5))).toThrow(CodecError);
  });
});

/** Bytes of the largest frame a client may send by default. */
const FULL_FRAME_BYTES = 131_072 - 8;

function nestedArrays(bytes: number): Buffer {
  const nested = Buffer.alloc(bytes, 'V');
  nested.writeUInt16BE(0x0041, 0);
  for (let at = 1; at + 5 < bytes; at += 5) {
    nested[at] = 0x41;
    nested.writeUInt32BE(bytes - at - 5, at + 1);
  }
  return nested;
}

function framesOf(bytes: Buffer, sizes: number[]): unknown[] {
  const seen: unknown[] = [];
  const parser = new FrameParser(FRAME_MAX, (type, channel, from, start, end) => {
    seen.push([type, channel, from.toString('hex', start, end)]);
  });
  const outcome = valueOrKind(() => {
    for (let at = 0, index = 0; at < bytes.length; index++) {
      const size = sizes[index % sizes.length]!;
      parser.push(Buffer.from(bytes.subarray(at, at + size)));
      at += size;
    }
  });
  return [...seen, outcome];
}

const aMethodFrame: fc.Arbitrary<Buffer> = fc
  .tuple(fc.constantFrom(...NAMES), fc.integer({ min: 0, max: 65535 }))
  .chain(([name, channel]) => someArguments(name).map((args) => encodeMethod(channel, name, args)));

function payloadOf(name: MethodName): fc.Arbitrary<Buffer> {
  return someArguments(name).map((args) => encodeMethod(1, name, args).subarray(FRAME_HEAD_BYTES, -1));
}

const aMethodPayload = fc.constantFrom(...NAMES).chain(payloadOf);

/** What is done to bytes that were right; positions are shares of the length. */
type Mutation =
  | { readonly kind: 'set' | 'insert' | 'cut'; readonly at: number; readonly byte: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly count: number }
  | { readonly kind: 'length'; readonly at: number; readonly value: number };

const aPlace = fc.double({ min: 0, max: 1, noNaN: true });
const aMutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('set' as const, 'insert' as const, 'cut' as const),
    at: aPlace,
    byte: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(...Buffer.from('tbBsuIilLfdDSxATFV\0'))),
  }),
  fc.record({ kind: fc.constant('repeat' as const), at: aPlace, count: fc.integer({ min: 1, max: 40 }) }),
  fc.record({
    kind: fc.constant('length' as const),
    at: aPlace,
    value: fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 4096),
  }),
);

/** Right bytes with up to four mistakes in them, or plain noise. The first `kept` bytes stay. */
function mutated(right: fc.Arbitrary<Buffer>, kept = 0): fc.Arbitrary<Buffer> {
  const damaged = fc
    .tuple(right, fc.array(aMutation, { maxLength: 4 }))
    .map(([bytes, mutations]) =>
      Buffer.concat([bytes.subarray(0, kept), mutations.reduce(mutate, bytes.subarray(kept))]),
    );
  const noise = fc
    .tuple(right, fc.uint8Array({ maxLength: 60 }))
    .map(([bytes, array]) => Buffer.concat([bytes.subarray(0, kept), array]));
  return fc.oneof({ weight: 9, arbitrary: damaged }, { weight: 1, arbitrary: noise });
}

function mutate(bytes: Buffer, mutation: Mutation): Buffer {
  const at = Math.floor(mutation.at * bytes.length);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (mutation.kind) {
    case 'set':
      return Buffer.concat([before, after.length > 0 ? Buffer.of(mutation.byte) : after, after.subarray(1)]);
    case 'insert':
      return Buffer.concat([before, Buffer.of(mutation.byte), after]);
    case 'cut':
      return Buffer.from(before);
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, mutation.count), after]);
    case 'length': {
      const value = Buffer.alloc(4);
      value.writeUInt32BE(mutation.value);
      return Buffer.concat([before, value, after.subarray(4)]);
    }
  }
}
