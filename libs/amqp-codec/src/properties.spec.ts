import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { aProperties } from './arbitraries.harness.js';
import {
  checkProperties,
  decodeProperties,
  encodeProperties,
  hasProperty,
  type PropertyName,
  peekDeliveryMode,
  peekProperty,
} from './properties.js';

const NAMES = Object.keys({
  contentType: 1,
  contentEncoding: 1,
  headers: 1,
  deliveryMode: 1,
  priority: 1,
  correlationId: 1,
  replyTo: 1,
  expiration: 1,
  messageId: 1,
  timestamp: 1,
  type: 1,
  userId: 1,
  appId: 1,
  clusterId: 1,
} satisfies Record<PropertyName, 1>) as PropertyName[];

describe('properties', () => {
  it('have known bytes', () => {
    const bytes = encodeProperties({ contentType: 'a', deliveryMode: 2, timestamp: 1n });
    expect(bytes.toString('hex')).toBe('90400161020000000000000001');
    expect(encodeProperties({}).toString('hex')).toBe('0000');
  });

  it('come back unchanged, whole or one by one', () => {
    fc.assert(
      fc.property(aProperties, (properties) => {
        const bytes = encodeProperties(properties);
        expect(decodeProperties(bytes)).toEqual(properties);
        expect(() => checkProperties(bytes)).not.toThrow();
        expect(peekDeliveryMode(bytes)).toBe(properties.deliveryMode ?? 1);
        for (const name of NAMES) {
          expect(peekProperty(bytes, name)).toEqual(properties[name]);
          expect(hasProperty(bytes, name)).toBe(properties[name] !== undefined);
        }
      }),
    );
  });

  it('are refused when cut, when bytes are left over, and with flags nobody defined', () => {
    const bytes = encodeProperties({ contentType: 'text', headers: [['k', { tag: 'S', value: 'v' }]], appId: 'x' });
    for (let end = 0; end < bytes.length; end++) {
      expect(() => checkProperties(bytes.subarray(0, end))).toThrow(expect.objectContaining({ kind: 'syntax' }));
      expect(() => peekDeliveryMode(bytes.subarray(0, end))).not.toThrow();
    }
    expect(() => checkProperties(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('left over');
    expect(() => checkProperties(Buffer.of(0, 1, 0, 0))).toThrow('unknown property flags');
  });
});
