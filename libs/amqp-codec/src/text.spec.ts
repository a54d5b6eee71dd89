import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeText, encodeTextInto, textBytes } from './text.js';

describe('text', () => {
  it('gives back any bytes unchanged, valid UTF-8 or not', () => {
    fc.assert(
      fc.property(anyBytes, (array) => {
        const bytes = Buffer.from(array);
        expect(encoded(decodeText(bytes, 0, bytes.length)).equals(bytes)).toBe(true);
      }),
    );
  });

  it('reads valid UTF-8 as the platform does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const bytes = Buffer.from(text);
        expect(decodeText(bytes, 0, bytes.length)).toBe(text);
        expect(encoded(text).equals(bytes)).toBe(true);
      }),
    );
  });

  it('keeps different invalid strings different', () => {
    const texts = [[0xff], [0xfe], [0xc3], [0xef, 0xbf, 0xbd]].map((bytes) =>
      decodeText(Buffer.from(bytes), 0, bytes.length),
    );
    expect(new Set(texts).size).toBe(4);
  });
});

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 30 }),
  fc.array(fc.constantFrom(0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0xff), {
    maxLength: 12,
  }),
);

function encoded(text: string): Buffer {
  const target = Buffer.alloc(textBytes(text));
  expect(encodeTextInto(target, 0, text)).toBe(target.length);
  return target;
}
