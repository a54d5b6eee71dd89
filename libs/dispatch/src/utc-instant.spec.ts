import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { utcInstant } from './utc-instant.js';

describe('an instant in UTC', () => {
  it.each([
    '2026-01-02T15:04:05Z',
    '2026-01-02T15:04:05.1Z',
    '2026-12-28T23:59:59.123456789Z',
    '1000-01-01T00:00:00.000Z',
  ])('reads %s as Date.parse does', (text) => expect(utcInstant(text)).toBe(Date.parse(text)));

  it.each([
    ...['', 'Z', '2026-01-02T15:04:05', '2026-01-02T15:04Z', '2026-01-02t15:04:05Z', '2026-01-02T15:04:05+00:00'],
    ...[
      '2026-01-02T15:04:05.Z',
      '2026-01-02T15:04:05.12aZ',
      '2026-01-02T15:04:05,1Z',
      '2026-01-29T15:04:05Z',
      '2026-13-02T15:04:05Z',
    ],
    ...[
      '2026-01-02T24:00:00Z',
      '2026-01-02T15:60:05Z',
      '0001-01-01T00:00:00Z',
      '+026-01-02T15:04:05Z',
      '2026-01-02T15:04:05ZZ',
    ],
  ])('leaves %j to others', (text) => expect(utcInstant(text)).toBeUndefined());

  it('never differs from Date.parse', () => {
    const part = (width: number) => fc.nat(10 ** width - 1).map((value) => String(value).padStart(width, '0'));
    const fraction = fc.oneof(
      fc.constant(''),
      fc.integer({ min: 1, max: 9 }).chain((width) => part(width).map((digits) => `.${digits}`)),
    );
    const texts = fc
      .tuple(part(4), part(2), part(2), part(2), part(2), part(2), fraction)
      .map(
        ([year, month, day, hour, minute, second, rest]) =>
          `${year}-${month}-${day}T${hour}:${minute}:${second}${rest}Z`,
      );
    const plain = fc
      .date({ noInvalidDate: true, min: new Date('1900-01-01'), max: new Date('2999-12-31') })
      .map((date) => date.toISOString());
    fc.assert(
      fc.property(fc.oneof(texts, plain), (text) => {
        const instant = utcInstant(text);
        if (instant !== undefined) expect(instant).toBe(Date.parse(text));
      }),
      { numRuns: 5_000 },
    );
  });
});
