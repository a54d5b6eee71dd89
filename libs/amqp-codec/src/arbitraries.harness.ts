import fc from 'fast-check';
import type { Field, Table } from './fields.js';
import { type MethodArguments, type MethodName, shapeOf, type WireType } from './methods.js';
import type { Properties } from './properties.js';

const aKey = fc.string({ unit: 'grapheme', maxLength: 30 });
const someBytes = fc.uint8Array().map((array) => Buffer.from(array));

/** A field of any tag, containers down to `depth` levels. */
export function aField(depth: number): fc.Arbitrary<Field> {
  const leaves: fc.Arbitrary<Field>[] = [
    fc.record({ tag: fc.constant('t' as const), value: fc.boolean() }),
    fc.record({ tag: fc.constant('b' as const), value: fc.integer({ min: -128, max: 127 }) }),
    fc.record({ tag: fc.constant('B' as const), value: fc.integer({ min: 0, max: 255 }) }),
    fc.record({ tag: fc.constant('s' as const), value: fc.integer({ min: -32768, max: 32767 }) }),
    fc.record({ tag: fc.constant('u' as const), value: fc.integer({ min: 0, max: 65535 }) }),
    fc.record({ tag: fc.constant('I' as const), value: fc.integer() }),
    fc.record({ tag: fc.constant('i' as const), value: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
    fc.record({ tag: fc.constantFrom('l' as const, 'L' as const), value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) }),
    fc.record({ tag: fc.constant('T' as const), value: fc.bigInt(0n, 2n ** 64n - 1n) }),
    fc.record({ tag: fc.constant('f' as const), value: fc.float({ noNaN: true }) }),
    fc.record({ tag: fc.constant('d' as const), value: fc.double({ noNaN: true }) }),
    fc.record({ tag: fc.constant('D' as const), scale: fc.integer({ min: 0, max: 255 }), value: fc.integer() }),
    fc.record({ tag: fc.constant('S' as const), value: fc.string({ unit: 'grapheme' }) }),
    fc.record({ tag: fc.constant('x' as const), value: someBytes }),
    fc.constant({ tag: 'V' as const }),
  ];
  if (depth === 0) return fc.oneof(...leaves);
  const array = fc.record({ tag: fc.constant('A' as const), value: fc.array(aField(depth - 1), { maxLength: 4 }) });
  const table = fc.record({ tag: fc.constant('F' as const), value: entries(depth - 1) });
  return fc.oneof(...leaves, array, table);
}

function entries(depth: number): fc.Arbitrary<Table> {
  return fc.array(fc.tuple(aKey, aField(depth)), { maxLength: 5 });
}

export const aTable: fc.Arbitrary<Table> = entries(2);

const aText = fc.string({ unit: 'grapheme', maxLength: 30 });

/** Any set of properties; absent ones have no key. */
export const aProperties: fc.Arbitrary<Properties> = fc.record(
  {
    contentType: aText,
    contentEncoding: aText,
    headers: aTable,
    deliveryMode: fc.integer({ min: 0, max: 255 }),
    priority: fc.integer({ min: 0, max: 255 }),
    correlationId: aText,
    replyTo: aText,
    expiration: aText,
    messageId: aText,
    timestamp: fc.bigInt(0n, 2n ** 64n - 1n),
    type: aText,
    userId: aText,
    appId: aText,
    clusterId: aText,
  },
  { requiredKeys: [] },
);

const VALUES: { [Type in WireType]: fc.Arbitrary<unknown> } = {
  octet: fc.integer({ min: 0, max: 255 }),
  short: fc.integer({ min: 0, max: 65535 }),
  long: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  longlong: fc.maxSafeNat(),
  shortstr: fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 30 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 255 }),
  ),
  longstr: someBytes,
  bit: fc.boolean(),
  table: aTable,
};

/** Any arguments of a method. */
export function someArguments<Name extends MethodName>(name: Name): fc.Arbitrary<MethodArguments<Name>> {
  const named = shapeOf(name).fields.filter(([field]) => field !== '');
  return fc.record(Object.fromEntries(named.map(([field, type]) => [field, VALUES[type]]))) as unknown as fc.Arbitrary<
    MethodArguments<Name>
  >;
}
