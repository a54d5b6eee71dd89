import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fingerprint, sortedByBytes } from './fingerprint.js';

describe('fingerprint', () => {
  // prometheus/common's own tests, and values computed with its code.
  it.each([
    [{}, 'cbf29ce484222325'],
    [{ name: 'garland, briggs', fear: 'love is not enough' }, '507a62d79ee76c9a'],
    [{ alertname: 'HighCPU', instance: 'web-1:9100', severity: 'critical' }, 'cc6e49118c0ea32b'],
    [{ alertname: '磁盘', host: 'a' }, '5e370df191b1727e'],
  ])('of %j is %s', (labels, expected) => {
    expect(fingerprint(labels)).toBe(expected);
  });

  it('equals the definition in BigInt for any labels, in any order', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { noNullPrototype: true }),
        (labels) => {
          const shuffled = Object.fromEntries(Object.entries(labels).reverse());
          expect(fingerprint(shuffled)).toBe(byDefinition(labels));
        },
      ),
    );
  });

  it('sorts names as bytes, not as UTF-16', () => {
    expect(sortedByBytes(['\u{1F600}', '\uFFFD', 'a'])).toEqual(['a', '\uFFFD', '\u{1F600}']);
  });
});

function byDefinition(labels: Record<string, string>): string {
  let hash = 14695981039346656037n;
  const feed = (bytes: Uint8Array) => {
    for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 1099511628211n) & 0xffff_ffff_ffff_ffffn;
  };
  const names = Object.keys(labels).sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
  for (const name of names) {
    feed(Buffer.from(name));
    feed([0xff] as unknown as Uint8Array);
    feed(Buffer.from(labels[name] as string));
    feed([0xff] as unknown as Uint8Array);
  }
  return hash.toString(16).padStart(16, '0');
}
