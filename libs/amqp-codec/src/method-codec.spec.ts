import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { someArguments } from './arbitraries.harness.js';
import { FRAME_HEAD_BYTES } from './frames.js';
import { decodeMethod, encodeMethod } from './method-codec.js';
import { METHODS, type MethodName } from './methods.js';

const NAMES = Object.keys(METHODS) as MethodName[];

describe('method frames', () => {
  it('writes known bytes', () => {
    const tune = encodeMethod(0, 'connection.tune', { channelMax: 2047, frameMax: 131072, heartbeat: 60 });
    expect(tune.toString('hex')).toBe('0100000000000c000a001e07ff00020000003cce');

    const ack = encodeMethod(1, 'basic.ack', { deliveryTag: 2 ** 32 + 7, multiple: true });
    expect(ack.toString('hex')).toBe('0100010000000d003c0050000000010000000701ce');

    const declare = encodeMethod(1, 'queue.declare', {
      queue: 'q',
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: true,
      nowait: false,
      arguments: [['a', { tag: 't', value: true }]],
    });
    expect(declare.toString('hex')).toBe('010001000000110032000a000001710a0000000401617401ce');
  });

  it('reads channel.open-ok with its long string and exchange.unbind-ok by its odd number', () => {
    expect(decodeMethod(Buffer.from('0014000b00000000', 'hex'))).toEqual({ name: 'channel.open-ok', args: {} });
    expect(decodeMethod(Buffer.from('00280033', 'hex')).name).toBe('exchange.unbind-ok');
  });

  it('names a method nobody defined, and fields that are missing or left over', () => {
    expect(() => decodeMethod(Buffer.from('003c00ff', 'hex'))).toThrow(
      expect.objectContaining({ kind: 'unknown-method', message: 'unknown method 60.255 (class.method)' }),
    );
    expect(() => decodeMethod(Buffer.from('003c0050', 'hex'))).toThrow(expect.objectContaining({ kind: 'frame' }));
    expect(() => decodeMethod(Buffer.from('000a003300', 'hex'))).toThrow('left over');
    expect(() => decodeMethod(Buffer.from('00', 'hex'))).toThrow(expect.objectContaining({ kind: 'syntax' }));
  });

  it.each(NAMES)('gives %s back unchanged', (name) => {
    fc.assert(
      fc.property(someArguments(name), fc.integer({ min: 0, max: 65535 }), (args, channel) => {
        const frame = encodeMethod(channel, name, args);
        expect(frame.readUInt16BE(1)).toBe(channel);
        expect(decodeMethod(frame, FRAME_HEAD_BYTES, frame.length - 1)).toEqual({ name, args });
      }),
      { numRuns: 20 },
    );
  });

  it('has no two methods of one number', () => {
    expect(new Set(NAMES.map((name) => METHODS[name].id.join('.'))).size).toBe(NAMES.length);
  });
});
