import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Timers } from './timers.js';

describe('timers', () => {
  it('give what is due, earliest first, as a plain map would', () => {
    const step = fc.oneof(
      fc.record({ set: fc.constantFrom(...'abcdefgh'), at: fc.nat(50) }),
      fc.record({ delete: fc.constantFrom(...'abcdefgh') }),
      fc.record({ takeDue: fc.nat(50) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const timers = new Timers();
        const plain = new Map<string, number>();
        for (const one of steps) {
          if ('set' in one) {
            timers.set(one.set, one.at);
            plain.set(one.set, one.at);
          } else if ('delete' in one) {
            timers.delete(one.delete);
            plain.delete(one.delete);
          } else {
            const due = timers.takeDue(one.takeDue);
            const times = due.map((key) => plain.get(key) as number);
            expect(times).toEqual([...times].sort((left, right) => left - right));
            expect(new Set(due)).toEqual(new Set([...plain].filter(([, at]) => at <= one.takeDue).map(([key]) => key)));
            for (const key of due) plain.delete(key);
          }
          expect(timers.earliest()).toBe(Math.min(Number.POSITIVE_INFINITY, ...plain.values()));
        }
      }),
    );
  });
});
