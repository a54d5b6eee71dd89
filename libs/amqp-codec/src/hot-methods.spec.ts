import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeAddress } from './address.js';
import { FRAME_HEAD_BYTES } from './frames.js';
import {
  deliverFrameBytes,
  KEY_ACK,
  KEY_NACK,
  PublishReader,
  peekMethodKey,
  SETTLEMENT_FRAME_BYTES,
  SettlementReader,
  writeDeliver,
  writeSettlement,
} from './hot-methods.js';
import { encodeMethod } from './method-codec.js';

const aShortString = fc.string({ unit: 'grapheme', maxLength: 20 });

describe('hot methods agree with the method table', () => {
  it('publish', () => {
    const reader = new PublishReader();
    fc.assert(
      fc.property(
        aShortString,
        aShortString,
        fc.boolean(),
        fc.boolean(),
        (exchange, routingKey, mandatory, immediate) => {
          const args = { exchange, routingKey, mandatory, immediate };
          const frame = encodeMethod(3, 'basic.publish', args);
          for (const _ of [1, 2]) {
            reader.read(frame, FRAME_HEAD_BYTES, frame.length - 1);
            const { address, mandatory, immediate } = reader;
            expect({ exchange: address.exchange, routingKey: address.routingKey, mandatory, immediate }).toEqual(args);
            expect(address.bytes.equals(encodeAddress(exchange, routingKey))).toBe(true);
          }
        },
      ),
    );
  });

  it('deliver', () => {
    fc.assert(
      fc.property(
        aShortString,
        fc.maxSafeNat(),
        fc.boolean(),
        aShortString,
        aShortString,
        (consumerTag, deliveryTag, redelivered, exchange, routingKey) => {
          // An address is two short strings; its first part is one.
          const tag = encodeAddress(consumerTag, '').subarray(0, -1);
          const address = encodeAddress(exchange, routingKey);
          const frame = Buffer.alloc(deliverFrameBytes(tag, address));
          expect(writeDeliver(frame, 0, 9, tag, deliveryTag, redelivered, address)).toBe(frame.length);
          const args = { consumerTag, deliveryTag, redelivered, exchange, routingKey };
          expect(frame.equals(encodeMethod(9, 'basic.deliver', args))).toBe(true);
        },
      ),
    );
  });

  it('ack and nack', () => {
    const reader = new SettlementReader();
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.boolean(), fc.boolean(), (deliveryTag, multiple, requeue) => {
        const ack = Buffer.alloc(SETTLEMENT_FRAME_BYTES);
        writeSettlement(ack, 0, 1, KEY_ACK, deliveryTag, multiple ? 1 : 0);
        expect(ack.equals(encodeMethod(1, 'basic.ack', { deliveryTag, multiple }))).toBe(true);

        const nack = encodeMethod(1, 'basic.nack', { deliveryTag, multiple, requeue });
        expect(peekMethodKey(nack, FRAME_HEAD_BYTES, nack.length - 1)).toBe(KEY_NACK);
        reader.read(nack, FRAME_HEAD_BYTES, nack.length - 1);
        expect([reader.deliveryTag, reader.bits]).toEqual([deliveryTag, (multiple ? 1 : 0) | (requeue ? 2 : 0)]);
      }),
    );
  });

  it('refuses short strings and settlements that run past their frame', () => {
    const frame = encodeMethod(1, 'basic.publish', {
      exchange: 'x',
      routingKey: 'k',
      mandatory: false,
      immediate: false,
    });
    for (let end = FRAME_HEAD_BYTES; end < frame.length - 1; end++) {
      expect(() => new PublishReader().read(frame, FRAME_HEAD_BYTES, end)).toThrow(
        expect.objectContaining({ kind: 'frame' }),
      );
    }
    expect(() => new SettlementReader().read(frame, 7, 19)).toThrow(expect.objectContaining({ kind: 'frame' }));
  });
});
