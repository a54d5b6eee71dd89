import { describe, expect, it } from '@jest/globals';
import type { PlainTable } from '#amqp-codec';
import { aQueue, aRoute, itRoutesAsAnExchange, matched } from './exchange.contract.js';
import { HeadersRouting } from './headers.js';

const CASES: [bindingArguments: PlainTable, headers: PlainTable, matches: boolean][] = [
  [{}, {}, true],
  [{}, { a: 1 }, true],
  [{ 'x-match': 'any' }, { a: 1 }, false],
  [{ a: 1 }, { a: 1, b: 2 }, true],
  [{ a: 1, b: 2 }, { a: 1 }, false],
  [{ 'x-match': 'all', a: 1, b: 2 }, { a: 1, b: 3 }, false],
  [{ 'x-match': 'any', a: 1, b: 2 }, { a: 9, b: 2 }, true],
  [{ 'x-match': 'any', a: 1 }, { a: 2 }, false],
  // Integers by value, whatever their width; never across types.
  [{ a: 1 }, { a: 1n }, true],
  [{ a: 1 }, { a: '1' }, false],
  [{ a: true }, { a: 1 }, false],
  // Void asks for the key only.
  [{ a: null }, { a: 'anything' }, true],
  [{ a: null }, { b: 1 }, false],
  // Arguments that begin with x- take part with -with-x only.
  [{ a: 1, 'x-other': 1 }, { a: 1 }, true],
  [{ 'x-match': 'all-with-x', a: 1, 'x-other': 1 }, { a: 1 }, false],
  [{ 'x-match': 'all-with-x', a: 1, 'x-other': 1 }, { a: 1, 'x-other': 1 }, true],
  [{ 'x-match': 'any', 'x-other': 1 }, { 'x-other': 1 }, false],
  [{ 'x-match': 'any-with-x', 'x-other': 1 }, { 'x-other': 1 }, true],
];

describe('headers exchange', () => {
  itRoutesAsAnExchange(() => new HeadersRouting(), {
    key: 'no matter',
    bindingArguments: { 'x-match': 'all', level: '5s' },
    headers: { level: '5s' },
  });

  for (const [bindingArguments, headers, matches] of CASES) {
    it(`${matches ? 'matches' : 'does not match'} ${text(bindingArguments)} with ${text(headers)}`, () => {
      const table = new HeadersRouting();
      table.add(aRoute(aQueue('q'), '', bindingArguments));
      expect(matched(table, '', headers)).toEqual(matches ? ['q'] : []);
    });
  }

  it('refuses another x-match in the words of RabbitMQ', () => {
    const bind = (value: PlainTable[string]) => () =>
      new HeadersRouting().add(aRoute(aQueue('q'), '', { 'x-match': value }));
    expect(bind('some')).toThrow(
      'PRECONDITION_FAILED - Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x',
    );
    expect(bind(1)).toThrow('PRECONDITION_FAILED - Invalid x-match field type signedint (value 1); expected longstr');
  });
});

function text(table: PlainTable): string {
  return JSON.stringify(table, (_key, value) => (typeof value === 'bigint' ? `${value}n` : value));
}
