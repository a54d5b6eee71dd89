import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { aField, aTable } from './arbitraries.harness.js';
import { ByteReader } from './bytes.js';
import {
  checkTable,
  decodeTable,
  decodeTableEntries,
  encodeTable,
  FIELD_DEPTH_MAX,
  type Field,
  findField,
  sameField,
  type Table,
} from './fields.js';

/** All tags with the bytes RabbitMQ's table documentation gives them. */
const KNOWN: [Field, string][] = [
  [{ tag: 't', value: true }, '74 01'],
  [{ tag: 'b', value: -2 }, '62 fe'],
  [{ tag: 'B', value: 254 }, '42 fe'],
  [{ tag: 's', value: -2 }, '73 fffe'],
  [{ tag: 'u', value: 65534 }, '75 fffe'],
  [{ tag: 'I', value: -2 }, '49 fffffffe'],
  [{ tag: 'i', value: 4294967294 }, '69 fffffffe'],
  [{ tag: 'l', value: -2n }, '6c fffffffffffffffe'],
  [{ tag: 'L', value: -2n }, '4c fffffffffffffffe'],
  [{ tag: 'f', value: 1.5 }, '66 3fc00000'],
  [{ tag: 'd', value: 1.5 }, '64 3ff8000000000000'],
  [{ tag: 'D', scale: 2, value: -314 }, '44 02 fffffec6'],
  [{ tag: 'S', value: 'hé' }, '53 00000003 68c3a9'],
  [{ tag: 'x', value: Buffer.from([0, 255]) }, '78 00000002 00ff'],
  [
    {
      tag: 'A',
      value: [
        { tag: 't', value: false },
        { tag: 'I', value: 1 },
      ],
    },
    '41 00000007 7400 4900000001',
  ],
  [{ tag: 'T', value: 1_700_000_000n }, '54 000000006553f100'],
  [{ tag: 'F', value: [['k', { tag: 'V' }]] }, '46 00000003 016b 56'],
  [{ tag: 'V' }, '56'],
];

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('field tables', () => {
  it.each(KNOWN)('writes and reads %j as its known bytes', (field, bytes) => {
    const entry = Buffer.concat([hex('0161'), hex(bytes)]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(entry.length);
    const expected = Buffer.concat([length, entry]);

    expect(encodeTable([['a', field]]).toString('hex')).toBe(expected.toString('hex'));
    expect(decodeTable(expected)).toEqual([['a', field]]);
    expect(decodeTableEntries(entry)).toEqual([['a', field]]);
  });

  it('gives back any table unchanged', () => {
    fc.assert(
      fc.property(aTable, (table) => {
        const bytes = encodeTable(table);
        expect(decodeTable(bytes)).toEqual(table);
        expect(encodeTable(decodeTable(bytes)).equals(bytes)).toBe(true);
        expect(() => checkTable(new ByteReader(bytes))).not.toThrow();
      }),
    );
  });

  it('answers bytes that are no table with a syntax error, in checking as in reading', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (array) => {
        const bytes = Buffer.from(array);
        expect(outcomeOf(() => checkTable(new ByteReader(bytes)))).toBe(outcomeOf(() => decodeTable(bytes)));
      }),
    );
  });

  it('keeps order and duplicate keys, and finds the first', () => {
    const table: Table = [
      ['b', { tag: 'I', value: 1 }],
      ['a', { tag: 'V' }],
      ['b', { tag: 'I', value: 2 }],
    ];
    expect(decodeTable(encodeTable(table))).toEqual(table);
    expect(findField(table, 'b')).toEqual({ tag: 'I', value: 1 });
    expect(findField(table, 'c')).toBeUndefined();
  });

  it('refuses tables nested without end', () => {
    const nested = (depth: number): Table => (depth === 0 ? [] : [['k', { tag: 'F', value: nested(depth - 1) }]]);
    expect(() => decodeTable(encodeTable(nested(FIELD_DEPTH_MAX)))).not.toThrow();
    expect(() => decodeTable(encodeTable(nested(FIELD_DEPTH_MAX + 1)))).toThrow('nested deeper');
  });
});

describe('equality of fields', () => {
  it('holds between integers of any width and between floats, and mixes nothing else', () => {
    expect(sameField({ tag: 'b', value: 10 }, { tag: 'l', value: 10n })).toBe(true);
    expect(sameField({ tag: 'f', value: 1.5 }, { tag: 'd', value: 1.5 })).toBe(true);
    expect(sameField({ tag: 'I', value: 10 }, { tag: 'd', value: 10 })).toBe(false);
    expect(sameField({ tag: 'I', value: 1 }, { tag: 't', value: true })).toBe(false);
    expect(sameField({ tag: 'S', value: '1' }, { tag: 'I', value: 1 })).toBe(false);
    expect(sameField({ tag: 'V' }, { tag: 'V' })).toBe(true);
  });

  it('holds for any field and itself after a round trip', () => {
    fc.assert(
      fc.property(aField(2), (field) => {
        const [[, again]] = decodeTable(encodeTable([['k', field]])) as [[string, Field]];
        expect(sameField(field, again)).toBe(true);
      }),
    );
  });
});

function outcomeOf(action: () => unknown): string {
  try {
    action();
    return 'accepted';
  } catch (error) {
    return (error as { kind?: string }).kind ?? String(error);
  }
}
