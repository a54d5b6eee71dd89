import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BodyChunks } from './body-chunks.js';

describe('a body in several frames', () => {
  it('is put together again however it was cut', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 5000 })), { maxLength: 60 }), (sizes) => {
        const body = Buffer.from(Array.from({ length: sizes.reduce((sum, size) => sum + size, 0) }, (_, at) => at));
        const chunks = new BodyChunks(body.length);
        let at = 0;
        for (const size of sizes) {
          chunks.add(body.subarray(at, at + size));
          at += size;
        }
        expect(chunks.join().equals(body)).toBe(true);
      }),
    );
  });

  it('takes little more memory than its bytes, even in frames of one byte', () => {
    const chunks = new BodyChunks(1_000_000);
    for (let at = 0; at < 1_000_000; at++) chunks.add(Buffer.of(7));
    expect(chunks.count).toBeLessThan(20);
    expect(chunks.join().equals(Buffer.alloc(1_000_000, 7))).toBe(true);
  });
});
