import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeProperties, type PlainTable, tableOf } from '#amqp-codec';
import { type Destination, ReceivedHeaders, type Route, type RoutingTable } from './routing.js';

export function aQueue(name: string): Destination {
  return { kind: 'queue', name, visitedBy: 0 };
}

export function aRoute(destination: Destination, routingKey = '', bindingArguments: PlainTable = {}): Route {
  return { destination, routingKey, arguments: tableOf(bindingArguments) };
}

/** Names of what matches, each once, sorted. */
export function matched(table: RoutingTable, routingKey: string, headers: PlainTable = {}): string[] {
  const received = new ReceivedHeaders(encodeProperties({ headers: tableOf(headers) }));
  const destinations = table.match(routingKey, received);
  return [...new Set(destinations.map((destination) => destination.name))].sort();
}

/** What every exchange type keeps to. `key` and `headers` belong to a message that matches a binding with `key` and `bindingArguments`. */
export function itRoutesAsAnExchange(
  create: () => RoutingTable,
  example: { key: string; bindingArguments?: PlainTable; headers?: PlainTable },
): void {
  const { key, bindingArguments, headers } = example;

  describe('as every exchange type', () => {
    it('finds nothing without bindings', () => {
      expect(matched(create(), key, headers)).toEqual([]);
    });

    it('reaches every destination bound in a matching way', () => {
      const table = create();
      for (const name of ['a', 'b', 'c']) table.add(aRoute(aQueue(name), key, bindingArguments));
      expect(matched(table, key, headers)).toEqual(['a', 'b', 'c']);
    });

    it('keeps the other bindings when one is removed', () => {
      const table = create();
      const [first, second] = [aRoute(aQueue('a'), key, bindingArguments), aRoute(aQueue('b'), key, bindingArguments)];
      table.add(first);
      table.add(second);
      table.remove(first);
      expect(matched(table, key, headers)).toEqual(['b']);
      table.remove(second);
      expect(matched(table, key, headers)).toEqual([]);
    });

    it('still reaches a destination bound twice after one of the bindings is removed', () => {
      const table = create();
      const queue = aQueue('a');
      const first = aRoute(queue, key, bindingArguments);
      table.add(first);
      table.add(aRoute(queue, key, { ...bindingArguments, 'x-note': 'second' }));
      table.remove(first);
      expect(matched(table, key, headers)).toEqual(['a']);
    });
  });
}

/** A table that remembers what it found answers as one that was made just now, whatever came and went and was asked before. */
export function itForgetsWhatNoLongerHolds(
  create: () => RoutingTable,
  bindings: readonly { key?: string; arguments?: PlainTable }[],
  messages: readonly { key?: string; headers?: PlainTable }[],
): void {
  it('matches as a new table with the same bindings does', () => {
    const aStep = fc.record({
      does: fc.constantFrom('add', 'remove', 'match', 'match', 'match'),
      binding: fc.nat(bindings.length - 1),
      message: fc.nat(messages.length - 1),
    });
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 40 }), (steps) => {
        const table = create();
        const routes = bindings.map((binding, index) => aRoute(aQueue(`${index}`), binding.key, binding.arguments));
        const bound = new Set<Route>();
        for (const { does, binding, message } of steps) {
          const route = routes[binding]!;
          if (does === 'match') {
            const fresh = create();
            for (const each of bound) fresh.add(each);
            const { key = '', headers } = messages[message]!;
            expect(matched(table, key, headers)).toEqual(matched(fresh, key, headers));
          } else if (does === 'add' && !bound.has(route)) {
            table.add(route);
            bound.add(route);
          } else if (does === 'remove' && bound.delete(route)) {
            table.remove(route);
          }
        }
      }),
    );
  });
}
