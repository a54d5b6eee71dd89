import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { SettlementQueue } from '../consumer.js';
import { UnackedDeliveries } from './unacked.js';

const QUEUE: SettlementQueue = { name: 'q', timeoutMs: () => undefined, acknowledge() {}, requeue() {}, reject() {} };

describe('unacked deliveries', () => {
  it('behave as a sorted list of tags', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('add', 'skip', 'one', 'upTo', 'restore'), fc.nat(60)), { maxLength: 300 }),
        (steps) => {
          const unacked = new UnackedDeliveries();
          let model: number[] = [];
          let last = 0;
          for (const [kind, number] of steps) {
            const taken: number[] = [];
            const onTaken = (_queue: SettlementQueue, sequence: number, _consumer: unknown, tag: number) => {
              expect(sequence).toBe(tag * 2);
              taken.push(tag);
            };
            if (kind === 'add') {
              unacked.add(++last, QUEUE, last * 2, undefined);
              model.push(last);
            } else if (kind === 'skip') {
              last++;
            } else if (kind === 'one') {
              expect(unacked.takeOne(number, onTaken)).toBe(model.includes(number));
              expect(taken).toEqual(model.filter((tag) => tag === number));
              model = model.filter((tag) => tag !== number);
            } else if (kind === 'upTo') {
              const isKnown = number === 0 || model.includes(number);
              expect(unacked.takeUpTo(number, onTaken)).toBe(isKnown);
              expect(taken).toEqual(isKnown ? model.filter((tag) => number === 0 || tag <= number) : []);
              model = model.filter((tag) => !taken.includes(tag));
            } else if (unacked.takeOne(number, onTaken)) {
              unacked.restore([{ tag: number, queue: QUEUE, sequence: number * 2, consumer: undefined }]);
            }
            expect(unacked.count).toBe(model.length);
          }
          const rest: number[] = [];
          unacked.takeUpTo(0, (_queue, _sequence, _consumer, tag) => rest.push(tag));
          expect(rest).toEqual(model);
        },
      ),
    );
  });
});
