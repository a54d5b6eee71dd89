import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createNotificationId, idFromKey, idOfDigest, idOfFlush, originOfNotificationId } from './notification-id.js';

const secret = Buffer.alloc(32, 1);
const otherSecret = Buffer.alloc(32, 2);
const flush = { groupKey: '{}:{a="b"}', flushNumber: 3, receiver: 'ops', targetKey: 'email:x', part: 0 };
const ids = {
  fresh: createNotificationId(secret, { time: 1_700_000_000_000, random: Buffer.alloc(10, 7) }),
  fromKey: idFromKey(secret, 'token', 'key'),
  ofFlush: idOfFlush(secret, flush),
  ofDigest: idOfDigest(secret, ['a', 'b']),
};

describe('notification id', () => {
  it.each(Object.entries(ids))('%s: is url-safe, at most 40 characters, and ours', (_kind, id) => {
    expect(id).toMatch(/^[0-9a-v]{39}$/);
    expect(originOfNotificationId(secret, id)).toBeDefined();
    expect(originOfNotificationId(otherSecret, id)).toBeUndefined();
  });

  it('tells where it is from', () => {
    const origins = Object.entries(ids).map(([name, id]) => [name, originOfNotificationId(secret, id)]);
    expect(Object.fromEntries(origins)).toEqual({
      fresh: { madeBy: 'time', at: 1_700_000_000_000 },
      fromKey: { madeBy: 'key' },
      ofFlush: { madeBy: 'dispatch' },
      ofDigest: { madeBy: 'dispatch' },
    });
  });

  it('sorts by time, and by the number of the flush', () => {
    const later = createNotificationId(secret, { time: 1_700_000_000_001, random: Buffer.alloc(10, 0) });
    expect(ids.fresh < later).toBe(true);
    const numbers = [3, 4, 255, 256, 217_000_000, 217_000_001];
    const inOrder = numbers.map((flushNumber) => idOfFlush(secret, { ...flush, flushNumber }));
    expect([...inOrder].sort()).toEqual(inOrder);
  });

  it('is the same for the same key, flush or members, and another for any other', () => {
    expect(idFromKey(secret, 'token', 'key')).toBe(ids.fromKey);
    expect(idFromKey(secret, 'tokenk', 'ey')).not.toBe(ids.fromKey);
    expect(idOfFlush(secret, { ...flush })).toBe(ids.ofFlush);
    for (const change of [{ flushNumber: 4 }, { receiver: 'x' }, { targetKey: 'x' }, { groupKey: 'x' }, { part: 1 }]) {
      expect(idOfFlush(secret, { ...flush, ...change })).not.toBe(ids.ofFlush);
    }
    expect(idOfDigest(secret, ['b', 'a'])).toBe(ids.ofDigest);
    expect(idOfDigest(secret, ['b'])).not.toBe(ids.ofDigest);
  });

  it('is refused after any change and for any other text', () => {
    fc.assert(
      fc.property(fc.nat(38), fc.constantFrom(...'0123456789abcdefghijklmnopqrstuv'), (at, digit) => {
        const changed = ids.fresh.slice(0, at) + digit + ids.fresh.slice(at + 1);
        expect(originOfNotificationId(secret, changed) !== undefined).toBe(changed === ids.fresh);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => originOfNotificationId(secret, text) === undefined));
    expect(originOfNotificationId(secret, 'v'.repeat(39))).toBeUndefined();
  });
});
