import { describe, expect, it } from '@jest/globals';
import { aQueue, aRoute, itRoutesAsAnExchange, matched } from './exchange.contract.js';
import { FanoutRouting } from './fanout.js';

describe('fanout exchange', () => {
  itRoutesAsAnExchange(() => new FanoutRouting(), { key: 'anything' });

  it('ignores keys', () => {
    const table = new FanoutRouting();
    table.add(aRoute(aQueue('a'), 'bound with this'));
    expect(matched(table, 'published with that')).toEqual(['a']);
  });
});
