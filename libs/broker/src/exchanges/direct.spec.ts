import { describe, expect, it } from '@jest/globals';
import { DirectRouting } from './direct.js';
import { aQueue, aRoute, itRoutesAsAnExchange, matched } from './exchange.contract.js';

describe('direct exchange', () => {
  itRoutesAsAnExchange(() => new DirectRouting(), { key: 'alert' });

  it('compares the whole key, the empty one too', () => {
    const table = new DirectRouting();
    table.add(aRoute(aQueue('a'), 'a'));
    table.add(aRoute(aQueue('empty'), ''));
    table.add(aRoute(aQueue('prototype'), '__proto__'));
    expect(matched(table, 'a')).toEqual(['a']);
    expect(matched(table, 'A')).toEqual([]);
    expect(matched(table, '')).toEqual(['empty']);
    expect(matched(table, '__proto__')).toEqual(['prototype']);
    expect(matched(table, 'toString')).toEqual([]);
  });
});
