import { type Field, findField, sameField, type Table } from '#amqp-codec';
import { ChannelError } from '../errors.js';
import { FIELD_TYPE_NAMES } from './equivalence.js';
import type { Destination, Route, RoutingTable } from './routing.js';

interface HeaderPattern {
  readonly route: Route;
  readonly quantifier: 'all' | 'any';
  readonly fields: Table;
}

/**
 * The message's headers against the binding's arguments; `x-match` says how. A void value asks only that the key is there.
 * Without `-with-x` arguments that begin with `x-` do not take part. Nothing to compare: `all` matches, `any` does not.
 */
export class HeadersRouting implements RoutingTable {
  readonly #patterns: HeaderPattern[] = [];

  add(route: Route): void {
    const [quantifier, withX] = X_MATCH[xMatchOf(route.arguments)];
    const fields = route.arguments.filter(([key]) => key !== 'x-match' && (withX || !key.startsWith('x-')));
    this.#patterns.push({ route, quantifier, fields });
  }

  remove(route: Route): void {
    this.#patterns.splice(
      this.#patterns.findIndex((pattern) => pattern.route === route),
      1,
    );
  }

  match(_routingKey: string, headers: () => Table): readonly Destination[] {
    const received = headers();
    const matched: Destination[] = [];
    for (const pattern of this.#patterns) if (matches(pattern, received)) matched.push(pattern.route.destination);
    return matched;
  }
}

/** Called before a binding is made, so that a bad `x-match` changes nothing. Throws 406. */
export function assertHeadersArguments(bindingArguments: Table): void {
  xMatchOf(bindingArguments);
}

function matches(pattern: HeaderPattern, headers: Table): boolean {
  const agrees = ([key, wanted]: readonly [string, Field]) => {
    const found = findField(headers, key);
    return found !== undefined && (wanted.tag === 'V' || sameField(wanted, found));
  };
  return pattern.quantifier === 'all' ? pattern.fields.every(agrees) : pattern.fields.some(agrees);
}

const X_MATCH = {
  all: ['all', false],
  any: ['any', false],
  'all-with-x': ['all', true],
  'any-with-x': ['any', true],
} as const;

function xMatchOf(bindingArguments: Table): keyof typeof X_MATCH {
  const field = findField(bindingArguments, 'x-match');
  if (field === undefined) return 'all';
  if (field.tag !== 'S') {
    const value = field.tag === 'V' ? 'undefined' : String(field.value);
    const text = `Invalid x-match field type ${FIELD_TYPE_NAMES[field.tag]} (value ${value}); expected longstr`;
    throw new ChannelError('precondition-failed', text);
  }
  if (Object.hasOwn(X_MATCH, field.value)) return field.value as keyof typeof X_MATCH;
  const text = `Invalid x-match field value <<"${field.value}">>; expected all, any, all-with-x, or any-with-x`;
  throw new ChannelError('precondition-failed', text);
}
