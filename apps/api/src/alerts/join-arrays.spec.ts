import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { joinArrays } from './join-arrays.js';

const SPACE = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 });

describe('joining arrays', () => {
  it('gives the items of all, in their order, whatever is in them and around them', () => {
    const arrays = fc.array(fc.tuple(SPACE, fc.array(fc.jsonValue(), { minLength: 1, maxLength: 3 }), SPACE), {
      minLength: 1,
    });
    fc.assert(
      fc.property(arrays, (given) => {
        const bodies = given.map(([before, items, after]) =>
          Buffer.from(`${before}${JSON.stringify(items, null, after)}${after}`),
        );
        const expected = given.flatMap(([, items]) => JSON.parse(JSON.stringify(items)) as unknown[]);
        expect(JSON.parse(joinArrays(bodies).toString())).toEqual(expected);
      }),
    );
  });

  it('leaves one alone as it came', () => {
    const body = Buffer.from(' [ {"a": "]"} ] ');
    expect(joinArrays([body])).toBe(body);
  });
});
