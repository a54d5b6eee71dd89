import { describe, expect, it } from '@jest/globals';
import { DefaultRouting } from './default.js';
import { aQueue, aRoute, matched } from './exchange.contract.js';

describe('default exchange', () => {
  it('takes the routing key for the name of a queue', () => {
    const table = new DefaultRouting((name) => (name === 'q' ? aQueue('q') : undefined));
    expect(matched(table, 'q')).toEqual(['q']);
    expect(matched(table, 'other')).toEqual([]);
  });

  it('takes no bindings', () => {
    const table = new DefaultRouting(() => undefined);
    expect(() => (table as { add(route: unknown): void }).add(aRoute(aQueue('q')))).toThrow('takes no bindings');
  });
});
