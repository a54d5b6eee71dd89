import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LOGGED, QueueIndex } from './queue-index.js';

interface ModelEntry {
  sequence: number;
  bytes: number;
  expiresAt: number;
  state: 'ready' | 'held';
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
