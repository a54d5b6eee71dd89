import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Confirms } from './confirms.js';

type Step = { publish: 'durable' | 'transient' | 'refused' } | { sync: number } | 'end of read';

describe('confirms', () => {
  it('answer every publish once, in order, never before it is durable, nacks alone', () => {
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 200 }), (steps) => {
        const confirms = new Confirms();
        const needed: ('nack' | number)[] = [];
        const answers: ('ack' | 'nack')[] = [];
        let appended = 0;
        let durable = 0;
        const send = () =>
          confirms.send(durable, (kind, upTo, count) => {
            expect(upTo).toBeGreaterThan(answers.length);
            expect(count).toBe(upTo - answers.length);
            if (kind === 'nack') expect(count).toBe(1);
            while (answers.length < upTo) answers.push(kind);
          });

        for (const step of steps) {
          if (step === 'end of read') {
            confirms.closeRun();
            send();
          } else if ('sync' in step) {
            durable = Math.min(appended, durable + step.sync);
            send();
          } else if (step.publish === 'refused') {
            confirms.refused();
            needed.push('nack');
          } else {
            if (step.publish === 'durable') appended += 10;
            confirms.accepted(step.publish === 'durable' ? appended : 0);
            needed.push(step.publish === 'durable' ? appended : 0);
          }
          answers.forEach((answer, index) => {
            const need = needed[index]!;
            expect(answer).toBe(need === 'nack' ? 'nack' : 'ack');
            if (need !== 'nack') expect(need).toBeLessThanOrEqual(durable);
          });
          expect(confirms.unconfirmed).toBe(needed.length - answers.length);
        }
        durable = appended;
        send();
        expect(answers.length).toBe(needed.length);
        expect(confirms.isEmpty).toBe(true);
      }),
    );
  });
});

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ publish: fc.constantFrom('durable' as const, 'transient' as const, 'refused' as const) }),
  },
  fc.record({ sync: fc.integer({ min: 0, max: 50 }) }),
  fc.constant('end of read' as const),
);
