import { describe, expect, it } from '@jest/globals';
import { Message } from '../message.js';
import { MessageMemory } from './message-memory.js';

const CHUNK_BYTES = 64 * 1024;
const MIB = 1024 * 1024;

describe('memory of messages', () => {
  it('counts a chunk once and whole, until the last message in it has gone', () => {
    const memory = new MessageMemory();
    const [first, second] = slicesOfOneChunk(2, 100);
    memory.hold(first!);
    expect(memory.usedBytes).toBeGreaterThan(CHUNK_BYTES);
    memory.hold(second!);
    expect(memory.usedBytes).toBeLessThan(CHUNK_BYTES + 1000);
    memory.release(first!);
    expect(memory.usedBytes).toBeGreaterThan(CHUNK_BYTES);
    memory.release(second!);
    expect(memory.usedBytes).toBe(0);
  });

  it('counts a message of several queues once', () => {
    const memory = new MessageMemory();
    const [message] = slicesOfOneChunk(1, 60_000);
    memory.hold(message!);
    const { usedBytes } = memory;
    memory.hold(message!);
    expect(memory.usedBytes).toBe(usedBytes);
    memory.release(message!);
    expect(memory.usedBytes).toBe(usedBytes);
    memory.release(message!);
    expect(memory.usedBytes).toBe(0);
  });

  it('returns to nothing whatever the order in which messages come, settle and go', () => {
    const memory = new MessageMemory();
    const chunks = [slicesOfOneChunk(5, 100), slicesOfOneChunk(1, CHUNK_BYTES / 2), slicesOfOneChunk(3, 9000)];
    const messages = chunks.flat();
    for (const message of messages) memory.hold(message);
    for (let index = 0; index < messages.length; index += 2) memory.settle(messages[index]!);
    for (let index = 0; index < messages.length; index++) memory.release(messages[(index * 4) % messages.length]!);
    expect(memory.usedBytes).toBe(0);
  });

  it('frees the chunk when a message moves out, with the same bytes', () => {
    const memory = new MessageMemory();
    const [message] = slicesOfOneChunk(1, 100);
    const { body, properties } = message!;
    memory.hold(message!);
    memory.settle(message!);
    expect(memory.usedBytes).toBeLessThan(CHUNK_BYTES / 2);
    expect([message!.body, message!.properties]).toEqual([body, properties]);
    expect(message!.body.buffer).not.toBe(body.buffer);
  });

  it('leaves a message where it is most of its chunk', () => {
    const memory = new MessageMemory();
    const [message] = slicesOfOneChunk(1, CHUNK_BYTES - 100);
    const { body } = message!;
    memory.hold(message!);
    memory.settle(message!);
    expect(message!.body).toBe(body);
  });

  it('leaves properties that messages share where they are, and counts them each time', () => {
    const memory = new MessageMemory(MIB);
    const properties = Buffer.allocUnsafeSlow(3);
    const messages = slicesOfOneChunk(2, 100).map(({ body }) => new Message('', 'q', properties, body));
    for (const message of messages) memory.hold(message);
    expect(messages.every((message) => message.properties === properties)).toBe(true);
    const held = memory.usedBytes;
    memory.release(messages[0]!);
    expect(memory.usedBytes).toBeLessThan(held - properties.length);
    memory.release(messages[1]!);
    expect(memory.usedBytes).toBe(0);
  });

  it('asks for relief once, at half, and again after it was given', () => {
    let asked = 0;
    const memory = new MessageMemory(MIB, () => asked++);
    const messages = Array.from({ length: 16 }, () => slicesOfOneChunk(1, 100)[0]!);
    for (const message of messages.slice(0, 7)) memory.hold(message);
    expect(asked).toBe(0);
    for (const message of messages.slice(7, 12)) memory.hold(message);
    expect(asked).toBe(1);
    for (const message of messages.slice(0, 12)) memory.release(message);
    memory.relieved();
    for (const message of messages) memory.hold(message);
    expect(asked).toBe(2);
  });

  it('admits logged messages beside others that had to be kept', () => {
    const memory = new MessageMemory(MIB);
    for (let count = 0; count < 40; count++) memory.hold(slicesOfOneChunk(1, 100)[0]!);
    expect(memory.admit(slicesOfOneChunk(1, 100)[0]!)).toBe(false);
    memory.keepsTheRest();
    expect(memory.admit(slicesOfOneChunk(1, 100)[0]!)).toBe(true);
  });
});

/** As they come from a socket: properties and body beside each other in what was read at once. */
function slicesOfOneChunk(count: number, bodyBytes: number): Message[] {
  const chunk = Buffer.alloc(CHUNK_BYTES, 'x');
  return Array.from({ length: count }, (_, index) => {
    const start = index * (bodyBytes + 20);
    return new Message('', 'q', chunk.subarray(start, start + 10), chunk.subarray(start + 10, start + 10 + bodyBytes));
  });
}
