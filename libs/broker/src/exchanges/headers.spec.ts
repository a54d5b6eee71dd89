import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type PlainTable, tableOf } from '#amqp-codec';
import { aQueue, aRoute, itForgetsWhatNoLongerHolds, itRoutesAsAnExchange, matched } from './exchange.contract.js';
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

  it('finds among many bindings, some of them removed again, what looking at each finds', () => {
    const value = fc.constantFrom<PlainTable[string]>(1, 2, 1n, '1', 'a', true, null, 1.5);
    const keyed = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'x-d'), value, { maxKeys: 4 });
    const quantifier = fc.constantFrom(undefined, 'all', 'any', 'all-with-x', 'any-with-x');
    const binding = fc.record({ match: quantifier, fields: keyed, isRemoved: fc.boolean() });
    fc.assert(
      fc.property(fc.array(binding, { maxLength: 30 }), fc.array(keyed, { maxLength: 5 }), (bindings, messages) => {
        const table = new HeadersRouting();
        const alone: { name: string; table: HeadersRouting }[] = [];
        const routes = bindings.map(({ match, fields }, index) =>
          aRoute(aQueue(String(index)), '', { 'x-match': match, ...fields }),
        );
        for (const route of routes) table.add(route);
        for (const [index, route] of routes.entries()) {
          if (bindings[index]!.isRemoved) {
            table.remove(route);
            continue;
          }
          const only = new HeadersRouting();
          only.add(route);
          alone.push({ name: route.destination.name, table: only });
        }
        for (const headers of messages) {
          const expected = alone.filter((one) => matched(one.table, '', headers).length > 0).map(({ name }) => name);
          expect(matched(table, '', headers)).toEqual(expected.sort());
        }
      }),
    );
  });

  it('looks at few of many bindings', () => {
    const table = new HeadersRouting();
    for (let number = 0; number < 1000; number++) {
      table.add(aRoute(aQueue(String(number)), '', { kind: 'alert', number }));
    }
    let looks = 0;
    const headers = tableOf({ kind: 'alert', number: 7 });
    const watched = new Proxy(headers, {
      get(target, property, receiver) {
        if (property === Symbol.iterator) looks++;
        return Reflect.get(target, property, receiver);
      },
    });
    expect(table.match('', { table: watched, known: undefined }).map(({ name }) => name)).toEqual(['7']);
    expect(looks).toBeLessThan(10);
  });

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

describe('headers, asked again', () => {
  itForgetsWhatNoLongerHolds(
    () => new HeadersRouting(),
    CASES.map(([bindingArguments]) => ({ arguments: bindingArguments })),
    CASES.map(([, headers]) => ({ headers })),
  );
});
