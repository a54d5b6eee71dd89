import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { contentFramesBytes, writeContent } from './content.js';
import { FrameParser } from './frame-parser.js';
import { HEARTBEAT_FRAME } from './frames.js';
import { encodeMethod } from './method-codec.js';

const FRAME_MAX = 4096;

describe('the frame parser', () => {
  it('finds the same frames however the bytes are cut', () => {
    const stream = Buffer.concat([
      encodeMethod(1, 'basic.publish', { exchange: '', routingKey: 'q', mandatory: false, immediate: false }),
      content(1, 10_000),
      HEARTBEAT_FRAME,
      content(2, 0),
      encodeMethod(2, 'channel.close-ok', {}),
    ]);
    const whole = framesOf([stream]);
    expect(whole.map(([type]) => type)).toEqual([1, 2, 3, 3, 3, 8, 2, 1]);
    expect(Buffer.concat(whole.filter(([type]) => type === 3).map(([, , payload]) => payload)).length).toBe(10_000);

    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 60 }), (sizes) => {
        expect(framesOf(cut(stream, sizes))).toEqual(whole);
      }),
    );
    expect(framesOf(cut(stream, [1]))).toEqual(whole);
  });

  it('hands on a whole frame where it lies', () => {
    const chunk = encodeMethod(1, 'tx.select', {});
    let seen: Buffer | undefined;
    new FrameParser(FRAME_MAX, (_type, _channel, bytes) => {
      seen = bytes;
    }).push(chunk);
    expect(seen).toBe(chunk);
  });

  it('refuses a wrong end byte, split or not', () => {
    const bad = Buffer.from(HEARTBEAT_FRAME);
    bad[7] = 0;
    for (const sizes of [[8], [3], [7]]) {
      expect(() => framesOf(cut(bad, sizes))).toThrow(expect.objectContaining({ kind: 'frame' }));
    }
  });

  it('lets a payload pass that is eight bytes too long, and refuses a longer one from its head alone', () => {
    const head = (size: number) => Buffer.from([3, 0, 1, size >>> 24, size >>> 16, size >>> 8, size]);
    expect(framesOf([head(FRAME_MAX), Buffer.alloc(FRAME_MAX), Buffer.of(0xce)])).toHaveLength(1);
    expect(() => framesOf([head(FRAME_MAX + 1)])).toThrow(expect.objectContaining({ kind: 'frame' }));
    const late = head(FRAME_MAX + 1);
    expect(() => framesOf([late.subarray(0, 3), late.subarray(3)])).toThrow('maximum is 4088');
  });

  it('keeps frames back while paused, and hands them on in order afterwards', () => {
    const stream = Buffer.concat([1, 2, 3, 4].map((channel) => encodeMethod(channel, 'tx.select', {})));
    for (const sizes of [[1], [5], [13], [stream.length]]) {
      const channels: number[] = [];
      const parser: FrameParser = new FrameParser(FRAME_MAX, (_type, channel) => {
        channels.push(channel);
        if (channel !== 4) parser.pause();
      });
      for (const chunk of cut(stream, sizes)) parser.push(chunk);
      for (const seen of [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4]]) {
        expect(channels).toEqual(seen);
        parser.resume();
      }
    }
  });

  it('hands on nothing more once stopped, also from the chunk at hand', () => {
    let frames = 0;
    const parser: FrameParser = new FrameParser(FRAME_MAX, () => {
      frames++;
      parser.stop();
    });
    parser.push(Buffer.concat([HEARTBEAT_FRAME, HEARTBEAT_FRAME]));
    parser.push(HEARTBEAT_FRAME);
    expect(frames).toBe(1);
  });
});

function framesOf(chunks: Buffer[]): [number, number, Buffer][] {
  const frames: [number, number, Buffer][] = [];
  const parser = new FrameParser(FRAME_MAX, (type, channel, bytes, start, end) => {
    frames.push([type, channel, Buffer.from(bytes.subarray(start, end))]);
  });
  for (const chunk of chunks) parser.push(chunk);
  return frames;
}

function cut(stream: Buffer, sizes: number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, index = 0; at < stream.length; index++) {
    const size = sizes[index % sizes.length]!;
    chunks.push(stream.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

function content(channel: number, bodyBytes: number): Buffer {
  const properties = Buffer.of(0, 0);
  const target = Buffer.alloc(contentFramesBytes(properties.length, bodyBytes, FRAME_MAX));
  expect(writeContent(target, 0, channel, properties, Buffer.alloc(bodyBytes, 7), FRAME_MAX)).toBe(target.length);
  return target;
}
