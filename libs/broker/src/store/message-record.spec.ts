import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Message, MessageWithClientDeaths } from '../message.js';
import { decodeMessage, encodeMessage } from './message-record.js';

const bytes = fc.uint8Array({ maxLength: 3000 }).map((array) => Buffer.from(array));
const name = fc.string({ unit: 'binary', maxLength: 60 });

describe('message record', () => {
  it('gives back what was stored', () => {
    fc.assert(
      fc.property(
        name,
        name,
        bytes,
        bytes,
        fc.array(name, { maxLength: 3 }),
        (exchange, key, properties, body, blind) => {
          const message = new Message(exchange, key, properties, body, blind);
          expect(decodeMessage(Buffer.concat(encodeMessage(message)))).toEqual(message);
        },
      ),
    );
  });

  it('gives each message its own head, also between neighbours that differ in little', () => {
    const few = fc.constantFrom('a', 'b');
    const aMessage = fc.tuple(few, few, fc.constantFrom(2, 3), fc.constantFrom<string[]>([], ['b']), fc.boolean());
    fc.assert(
      fc.property(fc.array(aMessage, { maxLength: 30 }), (shapes) => {
        for (const [exchange, key, propertiesBytes, blind, vouches] of shapes) {
          const plain = new Message(exchange, key, Buffer.alloc(propertiesBytes), Buffer.from('x'), blind);
          const message = vouches ? plain : new MessageWithClientDeaths(plain);
          expect(decodeMessage(Buffer.concat(encodeMessage(message)))).toEqual(message);
        }
      }),
    );
  });

  it('is read where it lies, and never beyond its end', () => {
    const part = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(
        part,
        name,
        bytes,
        bytes,
        fc.array(name, { maxLength: 2 }),
        fc.nat(80),
        (around, key, properties, body, blind, cut) => {
          const payload = Buffer.concat(encodeMessage(new Message('x', key, properties, body, blind)));
          const among = Buffer.concat([around, payload, Buffer.alloc(4000)]);
          const end = around.length + payload.length;
          expect(decodeMessage(among, around.length, end)).toEqual(decodeMessage(payload));
          // What is missing of head and properties must not be taken from what lies behind.
          const missing = body.length + 1 + cut;
          if (missing > payload.length) return;
          expect(() => decodeMessage(among, around.length, end - missing)).toThrow(RangeError);
        },
      ),
    );
  });

  it('shares equal properties of neighbours', () => {
    const read = (properties: number[]) =>
      decodeMessage(Buffer.concat(encodeMessage(new Message('x', 'k', Buffer.from(properties), Buffer.from('b')))));
    const [one, two, other] = [read([16, 0, 2]), read([16, 0, 2]), read([16, 0, 1])];
    expect(two.properties).toBe(one.properties);
    expect([...other.properties]).toEqual([16, 0, 1]);
    expect([...one.properties]).toEqual([16, 0, 2]);
  });

  it('gives back a key longer than a client can send, as a dead letter may have', () => {
    const message = new Message('x', 'k'.repeat(300), Buffer.from([0, 0]), Buffer.from('b'));
    expect(decodeMessage(Buffer.concat(encodeMessage(message)))).toEqual(message);
  });

  it('has the layout drawn above it', () => {
    const message = new Message('x', 'key', Buffer.from([0, 0]), Buffer.from('body'), ['b']);
    expect(Buffer.concat(encodeMessage(message)).toString('hex')).toBe(
      `01${'00000002'}${'0001'}${'0003'}${'0001'}${hex('x')}${hex('key')}${'0001'}${hex('b')}${'0000'}${hex('body')}`,
    );
  });

  it('keeps the body of a large message as it is, without a copy', () => {
    const body = Buffer.alloc(100_000, 1);
    expect(encodeMessage(new Message('x', 'k', Buffer.from([0, 0]), body)).at(-1)).toBe(body);
  });

  it('refuses a payload of another format or cut short', () => {
    const payload = Buffer.concat(encodeMessage(new Message('x', 'k', Buffer.from([0, 0]), Buffer.from('b'))));
    expect(() => decodeMessage(Buffer.from([9, ...payload.subarray(1)]))).toThrow('unknown format 9');
    expect(() => decodeMessage(payload.subarray(0, 14))).toThrow(RangeError);
  });
});

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}
