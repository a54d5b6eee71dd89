import { describe, expect, it } from '@jest/globals';
import { plainTable, tableOf } from './plain-table.js';

describe('plain tables', () => {
  it('give each kind of value its tag', () => {
    const tags = tableOf({
      text: 'x',
      yes: true,
      small: 5,
      large: 2 ** 31,
      fraction: 0.5,
      exact: 5n,
      when: new Date(1500),
      bytes: Buffer.of(1),
      list: [1],
      table: { a: null },
      nothing: null,
      left: undefined,
    }).map(([key, field]) => [key, field.tag]);
    expect(Object.fromEntries(tags)).toEqual({
      text: 'S',
      yes: 't',
      small: 'I',
      large: 'l',
      fraction: 'd',
      exact: 'l',
      when: 'T',
      bytes: 'x',
      list: 'A',
      table: 'F',
      nothing: 'V',
    });
  });

  it('come back as plain values; of duplicates the first', () => {
    const plain = { a: 'x', b: [1, 2 ** 40, { c: null }], __proto__x: true };
    expect(plainTable(tableOf(plain))).toEqual(plain);
    const duplicates = plainTable([
      ['k', { tag: 'I', value: 1 }],
      ['k', { tag: 'I', value: 2 }],
      ['__proto__', { tag: 'D', scale: 1, value: 25 }],
    ]);
    expect(Object.entries(duplicates)).toEqual([
      ['k', 1],
      ['__proto__', 2.5],
    ]);
  });
});
