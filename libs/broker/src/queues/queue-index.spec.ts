import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Message } from '../message.js';
import { LOGGED, QueueIndex } from './queue-index.js';

interface ModelEntry {
  sequence: number;
  bytes: number;
  expiresAt: number;
  state: 'ready' | 'held' | 'gone';
  redelivered: boolean;
  failures: number;
}

/** The same rules over a plain array. */
class Model {
  entries: ModelEntry[] = [];
  get ready(): ModelEntry[] {
    return this.entries.filter((entry) => entry.state === 'ready');
  }
  get held(): ModelEntry[] {
    return this.entries.filter((entry) => entry.state === 'held');
  }
}

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('push' as const), bytes: fc.nat(50), expiresAt: fc.nat(3) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restore' as const), pick: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tidy' as const) }) },
);

describe('queue index', () => {
  it('behaves as a plain list does, whatever the order of operations', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 400 }), (actions) => {
        const index = new QueueIndex();
        const model = new Model();
        let sequence = 0;
        for (const step of actions) {
          switch (step.do) {
            case 'push':
              sequence += 1 + (step.bytes % 3);
              index.push(sequence, sequence * 10, step.bytes + 7, step.bytes, step.expiresAt, LOGGED, undefined);
              model.entries.push({
                sequence,
                bytes: step.bytes,
                expiresAt: step.expiresAt,
                state: 'ready',
                redelivered: false,
                failures: 0,
              });
              break;
            case 'take': {
              const ordinal = index.nextReady();
              const expected = model.ready[0];
              expect(ordinal === -1 ? undefined : index.sequenceAt(ordinal)).toBe(expected?.sequence);
              if (expected === undefined) break;
              index.take(ordinal);
              expected.state = 'held';
              break;
            }
            case 'restore': {
              const expected = pick(model.held, step.pick);
              if (expected === undefined) break;
              const ordinal = index.find(expected.sequence);
              expect(index.isHeld(ordinal)).toBe(true);
              index.restore(ordinal);
              index.markRedelivered(ordinal);
              index.addFailure(ordinal);
              expected.state = 'ready';
              expected.redelivered = true;
              expected.failures++;
              break;
            }
            case 'settle': {
              const expected = pick(model.held, step.pick);
              if (expected === undefined) break;
              index.settle(index.find(expected.sequence));
              expect(index.find(expected.sequence)).toBe(-1);
              model.entries = model.entries.filter((entry) => entry !== expected);
              break;
            }
            case 'drop': {
              const expected = model.ready[0];
              if (expected === undefined) break;
              index.settle(index.nextReady());
              model.entries = model.entries.filter((entry) => entry !== expected);
              break;
            }
            case 'tidy':
              index.tidy();
              break;
          }
          expectSame(index, model);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('behaves as a plain list does when it has many pages that drain, thin out and merge', () => {
    const burst = fc.record({
      pushed: fc.nat(3000),
      taken: fc.nat(3000),
      /** Of the held ones, those whose place in the list divides by it stay held or go back. */
      keptEvery: fc.integer({ min: 2, max: 40 }),
      restored: fc.boolean(),
      expiresAt: fc.constantFrom(0, 0, 5),
      tidied: fc.nat(8),
    });
    fc.assert(
      fc.property(fc.array(burst, { minLength: 3, maxLength: 8 }), (bursts) => {
        const index = new QueueIndex();
        const model = new Model();
        let sequence = 0;
        for (const { pushed, taken, keptEvery, restored, expiresAt, tidied } of bursts) {
          for (let count = 0; count < pushed; count++) {
            sequence++;
            const message = sequence % 7 === 0 ? aMessage(sequence) : undefined;
            index.push(sequence, sequence * 10, 8, 1, expiresAt, LOGGED, message);
            model.entries.push({ sequence, bytes: 1, expiresAt, state: 'ready', redelivered: false, failures: 0 });
          }
          for (const entry of model.ready.slice(0, taken)) {
            const ordinal = index.nextReady();
            if (index.sequenceAt(ordinal) !== entry.sequence) throw new Error(`${entry.sequence} is not the next`);
            index.take(ordinal);
            entry.state = 'held';
          }
          model.held.forEach((entry, place) => {
            const ordinal = index.find(entry.sequence);
            if (place % keptEvery !== 0) {
              index.settle(ordinal);
              entry.state = 'gone';
            } else if (restored) {
              index.restore(ordinal);
              entry.failures = index.addFailure(ordinal);
              entry.state = 'ready';
            }
          });
          model.entries = model.entries.filter(({ state }) => state !== 'gone');
          for (let times = 0; times < tidied; times++) index.tidy();

          expect(index.readyCount).toBe(model.ready.length);
          expect(index.heldCount).toBe(model.held.length);
          // One comparison for all: an `expect` for each of thousands takes minutes.
          const found = model.entries.map(({ sequence: wanted }) => {
            const ordinal = index.find(wanted);
            const state = index.isReady(ordinal) ? 'ready' : 'held';
            const key = index.messageAt(ordinal)?.routingKey;
            const times = `${index.positionAt(ordinal)} ${index.expiresAt(ordinal)}`;
            return `${times} ${index.failuresAt(ordinal)} ${state} ${key}`;
          });
          const expected = model.entries.map((entry) => {
            const key = entry.sequence % 7 === 0 ? String(entry.sequence) : undefined;
            return `${entry.sequence * 10} ${entry.expiresAt} ${entry.failures} ${entry.state} ${key}`;
          });
          expect(found.join('\n')).toBe(expected.join('\n'));
          expect(index.find(sequence + 1)).toBe(-1);
          const messages = model.entries.filter((entry) => entry.sequence % 7 === 0);
          const loose = messages.map((entry) => entry.sequence).reverse();
          expect(looseSequences(index).join(' ')).toBe(loose.join(' '));
        }
      }),
      { numRuns: 20 },
    );
  });

  it('takes no memory before its first message, and few bytes for each of a long backlog', () => {
    const index = new QueueIndex();
    expect(index.capacity).toBe(0);
    for (let sequence = 1; sequence <= 100_000; sequence++) index.push(sequence, 0, 0, 1, 0, 0, undefined);
    expect(index.capacity).toBeLessThan(102_000);
  });

  it('holds little memory for a few old deliveries among many settled ones', () => {
    const index = new QueueIndex();
    for (let sequence = 1; sequence <= 200_000; sequence++) {
      const ordinal = index.push(sequence, 0, 0, 1, 0, 0, undefined);
      index.take(ordinal);
      if (sequence % 200 !== 0) index.settle(ordinal);
    }
    expect(index.heldCount).toBe(1000);
    expect(index.capacity).toBeLessThan(30_000);
    for (let runs = 0; runs < 30; runs++) index.tidy();
    expect(index.capacity).toBeLessThan(5_000);
  });

  it('gives back memory once a large backlog has drained', () => {
    const index = new QueueIndex();
    for (let sequence = 1; sequence <= 100_000; sequence++) index.push(sequence, 0, 0, 1, 0, 0, undefined);
    expect(index.capacity).toBeGreaterThanOrEqual(100_000);

    for (let sequence = 1; sequence <= 100_000; sequence++) index.settle(index.find(sequence));
    index.tidy();

    expect(index.capacity).toBeLessThan(100);
  });

  it('does not grow when one old delivery stays unsettled under steady traffic', () => {
    const index = new QueueIndex();
    index.take(index.push(1, 0, 0, 1, 0, 0, undefined));
    for (let sequence = 2; sequence <= 50_000; sequence++) {
      const ordinal = index.push(sequence, 0, 0, 1, 0, 0, undefined);
      index.settle(ordinal);
    }
    expect(index.find(1)).toBeGreaterThanOrEqual(0);
    expect(index.capacity).toBeLessThanOrEqual(32);
  });

  it('finds a restored entry behind a long run of held ones', () => {
    const index = new QueueIndex();
    for (let sequence = 1; sequence <= 1000; sequence++) index.push(sequence, 0, 0, 1, 0, 0, undefined);
    for (let taken = 0; taken < 1000; taken++) index.take(index.nextReady());

    index.restore(index.find(900));

    expect(index.sequenceAt(index.nextReady())).toBe(900);
  });
});

function aMessage(sequence: number): Message {
  return new Message('', String(sequence), Buffer.alloc(0), Buffer.alloc(1));
}

/** Of the messages in memory, last first. */
function looseSequences(index: QueueIndex): number[] {
  const sequences: number[] = [];
  for (let at = index.lastLooseBefore(index.back); at !== -1; at = index.lastLooseBefore(at)) {
    sequences.push(index.sequenceAt(at));
  }
  return sequences;
}

function pick(entries: ModelEntry[], choice: number): ModelEntry | undefined {
  return entries.length === 0 ? undefined : entries[choice % entries.length];
}

function expectSame(index: QueueIndex, model: Model): void {
  expect(index.readyCount).toBe(model.ready.length);
  expect(index.heldCount).toBe(model.held.length);
  expect(index.readyBytes).toBe(model.ready.reduce((sum, entry) => sum + entry.bytes, 0));
  expect(index.heldBytes).toBe(model.held.reduce((sum, entry) => sum + entry.bytes, 0));
  for (const entry of model.entries) {
    const ordinal = index.find(entry.sequence);
    expect(ordinal).toBeGreaterThanOrEqual(0);
    expect(index.positionAt(ordinal)).toBe(entry.sequence * 10);
    expect(index.recordBytesAt(ordinal)).toBe(entry.bytes + 7);
    expect(index.expiresAt(ordinal)).toBe(entry.expiresAt);
    expect(index.isRedelivered(ordinal)).toBe(entry.redelivered);
    expect(index.failuresAt(ordinal)).toBe(entry.failures);
    expect(index.isLogged(ordinal)).toBe(true);
  }
}
