import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { aQueue, aRoute, itForgetsWhatNoLongerHolds, itRoutesAsAnExchange, matched } from './exchange.contract.js';
import { TopicRouting } from './topic.js';

// The bindings of RabbitMQ's own topic routing test, plus the edge cases of empty words.
const CASES: [bindingKey: string, matches: string[], differs: string[]][] = [
  ['', [''], ['a', '.']],
  ['*', ['a', 'abc'], ['', 'a.b', '.']],
  ['#', ['', 'a', 'a.b', '.', 'a..b'], []],
  ['a.*.c', ['a.b.c', 'a..c'], ['a.c', 'a.b.b.c', 'a.b.c.d']],
  ['a.#', ['a', 'a.b', 'a.b.c', 'a.'], ['', 'b', 'ab']],
  ['#.a', ['a', 'b.a', 'c.b.a', '.a'], ['a.b', '']],
  ['a.#.b', ['a.b', 'a.x.b', 'a.x.y.b'], ['a', 'b', 'a.x']],
  ['*.#', ['a', 'a.b', '.'], ['']],
  ['#.*', ['a', 'a.b'], ['']],
  ['#.#', ['', 'a', 'a.b'], []],
  ['*.*', ['a.b', '.'], ['', 'a', 'a.b.c']],
  ['a..b', ['a..b'], ['a.b', 'a.x.b']],
  ['a.b*', ['a.b*'], ['a.bc']],
];

describe('topic exchange', () => {
  itRoutesAsAnExchange(() => new TopicRouting(), { key: 'alerts.disk.full' });

  for (const [bindingKey, matches, differs] of CASES) {
    it(`routes by "${bindingKey}"`, () => {
      const table = new TopicRouting();
      table.add(aRoute(aQueue('q'), bindingKey));
      for (const key of matches) expect([key, matched(table, key)]).toEqual([key, ['q']]);
      for (const key of differs) expect([key, matched(table, key)]).toEqual([key, []]);
    });
  }

  it('takes a wildcard in a routing key as a plain word', () => {
    const table = new TopicRouting();
    table.add(aRoute(aQueue('star'), '*'));
    table.add(aRoute(aQueue('ab'), 'a.b'));
    expect(matched(table, '*')).toEqual(['star']);
    expect(matched(table, 'a.*')).toEqual([]);
  });

  it('agrees with a pattern search, whatever the bindings', () => {
    const word = fc.constantFrom('a', 'b', '', '*', '#');
    const bindingKey = fc.array(word, { maxLength: 5 }).map((words) => words.join('.'));
    const routingKey = fc.array(fc.constantFrom('a', 'b', ''), { maxLength: 6 }).map((words) => words.join('.'));
    fc.assert(
      fc.property(fc.uniqueArray(bindingKey, { maxLength: 8 }), fc.array(routingKey), (bindings, keys) => {
        const table = new TopicRouting();
        for (const binding of bindings) table.add(aRoute(aQueue(binding), binding));
        for (const key of keys) {
          expect(matched(table, key)).toEqual(
            bindings.filter((binding) => fits(wordsOf(binding), wordsOf(key))).sort(),
          );
        }
      }),
    );
  });

  it('stays quick when many "#" could match in many ways', () => {
    const table = new TopicRouting();
    table.add(aRoute(aQueue('q'), Array(20).fill('#.a').join('.')));
    expect(matched(table, Array(100).fill('a').join('.'))).toEqual(['q']);
    expect(matched(table, `${Array(100).fill('a').join('.')}.b`)).toEqual([]);
  });
});

function wordsOf(key: string): string[] {
  return key === '' ? [] : key.split('.');
}

function fits(pattern: string[], words: string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return words.length === 0;
  if (first === '#') return fits(rest, words) || (words.length > 0 && fits(pattern, words.slice(1)));
  return words.length > 0 && (first === '*' || first === words[0]) && fits(rest, words.slice(1));
}

describe('topic, asked again', () => {
  itForgetsWhatNoLongerHolds(
    () => new TopicRouting(),
    CASES.map(([key]) => ({ key })),
    CASES.flatMap(([, matches]) => matches.map((key) => ({ key }))),
  );
});
