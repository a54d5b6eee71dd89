import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeProperties } from '#amqp-codec';
import { Message } from '../message.js';
import { EngineUnderTest, ticks } from './engine.harness.js';

const CHUNK_BYTES = 64 * 1024;
const LIMIT_BYTES = 4 * 1024 * 1024;
const ROUNDS = 400;
const FAST_PER_ROUND = 60;

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open({ messageMemoryBytes: LIMIT_BYTES });
  engine.queue('slow');
  engine.queue('fast');
});
afterEach(() => engine.close());

describe('one message for a slow queue in every chunk full of messages for a fast one', () => {
  it.each([
    { kind: 'persistent', deliveryMode: 2 },
    { kind: 'transient', deliveryMode: 1 },
  ])('keeps the memory that $kind messages pin below its bound, and every message', async ({ deliveryMode }) => {
    const fast = engine.consume('fast', { noAck: true });
    let mostBytes = 0;
    for (let round = 0; round < ROUNDS; round++) {
      publishChunk(round, deliveryMode);
      await ticks(2);
      mostBytes = Math.max(mostBytes, engine.engine.stats().messageMemoryBytes);
    }
    while (fast.deliveries.length < ROUNDS * FAST_PER_ROUND) await ticks();
    // Unrelieved it would be a chunk for each round.
    expect(ROUNDS * CHUNK_BYTES).toBeGreaterThan(6 * LIMIT_BYTES);
    expect(mostBytes).toBeLessThan(LIMIT_BYTES);
    const slow = await engine.drain('slow');
    expect(slow.map((body) => Number(body.trimEnd()))).toEqual(Array.from({ length: ROUNDS }, (_, round) => round));
    expect(engine.engine.stats().messageMemoryBytes).toBe(0);
  });
});

describe('messages that wait behind a slow consumer', () => {
  it('hold no disk of their neighbours that were consumed, and are all there after a restart', async () => {
    const segmentBytes = 256 * 1024;
    const rounds = 150;
    await engine.close();
    engine = await EngineUnderTest.open({ segmentBytes });
    engine.queue('slow');
    engine.queue('fast');
    engine.consume('fast', { noAck: true });
    for (let round = 0; round < rounds; round++) {
      publishChunk(round, 2);
      await ticks(2);
    }
    // Without rewrites each would hold the segment it was put into: more than thirty.
    expect(engine.engine.stats().log.bytesWritten).toBeGreaterThan(30 * segmentBytes);
    while (engine.engine.stats().log.totalBytes >= 6 * segmentBytes) await ticks();

    await engine.reopen();
    const slow = await engine.drain('slow');
    expect(slow.map((body) => Number(body.trimEnd()))).toEqual(Array.from({ length: rounds }, (_, round) => round));
    // Each rewrite waits for the disk.
  }, 60_000);
});

describe('a transient backlog beyond the bound', () => {
  it('stays whole, and logged messages beside it still leave memory', async () => {
    const count = 20;
    for (let round = 0; round < count * FAST_PER_ROUND; round++) publishChunk(round, 1, 1);
    await ticks();
    const kept = engine.engine.stats().messageMemoryBytes;
    for (let round = 0; round < ROUNDS; round++) {
      publishChunk(round, 2, 1);
      await ticks(2);
    }
    expect(engine.engine.stats().messageMemoryBytes).toBeLessThan(kept + LIMIT_BYTES);
    expect(engine.ready('slow')).toBe(count * FAST_PER_ROUND + ROUNDS);
  });
});

/** One message to the slow queue and the rest of a chunk to the fast one, cut out of the chunk as the wire does. */
function publishChunk(round: number, deliveryMode: number, fastCount = FAST_PER_ROUND): void {
  const chunk = Buffer.alloc(CHUNK_BYTES, ' ');
  const properties = encodeProperties({ deliveryMode });
  let at = 0;
  const cut = (bytes: Buffer, length: number) => {
    bytes.copy(chunk, at);
    at += length;
    return chunk.subarray(at - length, at);
  };
  engine.host.publish(
    new Message('', 'slow', cut(properties, properties.length), cut(Buffer.from(String(round)), 100)),
  );
  for (let index = 0; index < fastCount; index++) {
    engine.host.publish(new Message('', 'fast', cut(properties, properties.length), cut(Buffer.from('fast'), 1000)));
  }
}
