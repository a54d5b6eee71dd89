import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Address, AddressReader, encodeAddress } from './address.js';
import { ByteMemo } from './byte-memo.js';

describe('an address', () => {
  // First of all: the memory behind it is one for all readers, and what other tests read would take places in it.
  it('comes back as the same object, also among thousands of others', () => {
    const reader = new AddressReader();
    const read = (number: number) => {
      const bytes = encodeAddress('x', `key ${number}`);
      return reader.read(bytes, 0, bytes.length);
    };
    const rounds = Array.from({ length: 3 }, () => Array.from({ length: 10_000 }, (_, number) => read(number)));
    const again = rounds[2]!.filter((address, number) => address === rounds[1]![number]).length;
    expect(again).toBeGreaterThan(9_500);
    expect(rounds[2]!.map(({ routingKey }) => routingKey)).toEqual(rounds[0]!.map(({ routingKey }) => routingKey));
  });

  it('is the same whether it is read for the first time or remembered, whatever its bytes', () => {
    const part = fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 255 }));
    const reader = new AddressReader();
    fc.assert(
      fc.property(fc.array(fc.tuple(part, part, fc.nat(5)), { minLength: 1, maxLength: 20 }), (parts) => {
        for (const [exchange, routingKey, before] of [...parts, ...parts, ...parts]) {
          const bytes = Buffer.from([exchange.length, ...exchange, routingKey.length, ...routingKey]);
          const around = Buffer.concat([Buffer.alloc(before, 7), bytes, Buffer.alloc(3, 9)]);
          const read = reader.read(around, before, before + bytes.length);
          expect(read).toEqual(new Address(Buffer.from(bytes)));
          expect(encodeAddress(read.exchange, read.routingKey).equals(bytes)).toBe(true);
          around.fill(0);
          expect(read.bytes.equals(bytes)).toBe(true);
        }
      }),
    );
  });

  it('is refused when it is not two short strings', () => {
    const reader = new AddressReader();
    expect(() => reader.read(Buffer.from([1]), 0, 1)).toThrow('runs past the end');
    expect(() => reader.read(Buffer.from([0, 0, 0]), 0, 3)).toThrow('wrong length');
  });
});

describe('a memo of bytes', () => {
  it('makes a value when bytes come the second time, and no more', () => {
    let made = 0;
    const memo = new ByteMemo((bytes) => ({ bytes, number: ++made }));
    const find = (text: string) => memo.find(Buffer.from(`--${text}-`), 2, 2 + text.length);
    expect(find('a')).toBeUndefined();
    expect(find('b')).toBeUndefined();
    expect(find('a')?.number).toBe(1);
    expect(find('a')?.number).toBe(1);
    expect(find('b')?.bytes.toString()).toBe('b');
    expect(made).toBe(2);
  });

  it('holds a bounded number of values', () => {
    const memo = new ByteMemo((bytes) => ({ bytes }));
    const count = 100_000;
    const find = (number: number) => memo.find(Buffer.from(`${number}`), 0, `${number}`.length);
    for (const _ of [1, 2]) for (let number = 0; number < count; number++) find(number);
    let kept = 0;
    for (let number = 0; number < count; number++) if (find(number) !== undefined) kept++;
    expect(kept).toBeLessThanOrEqual(32_768);
  });

  it('remembers nothing long', () => {
    const memo = new ByteMemo((bytes) => ({ bytes }));
    const bytes = Buffer.alloc(257);
    expect([1, 2, 3].map(() => memo.find(bytes, 0, bytes.length))).toEqual([undefined, undefined, undefined]);
  });
});
