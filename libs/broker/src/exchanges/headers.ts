import { type Field, findField, integerOf, sameField, type Table } from '#amqp-codec';
import { ChannelError } from '../errors.js';
import { FIELD_TYPE_NAMES } from './equivalence.js';
import {
  type Destination,
  type KnownHeaders,
  type MessageHeaders,
  NO_DESTINATIONS,
  type Route,
  type RoutingTable,
} from './routing.js';

/** Different headers whose destinations are remembered. */
const KNOWN_MAX = 16_384;

interface HeaderPattern {
  readonly route: Route;
  readonly quantifier: 'all' | 'any';
  readonly fields: Table;
  /** Number of the last message that matched it: `any` may be met by several headers. */
  matchedBy: number;
}

/** Patterns that ask something of one header. */
interface ForHeader {
  /** By value, for those that ask for one. Equal values have equal keys, not the other way round. */
  readonly byValue: Map<string, Set<HeaderPattern>>;
  /** Those that ask only that it is there. */
  readonly present: Set<HeaderPattern>;
}

/**
 * The message's headers against the binding's arguments; `x-match` says how. A void value asks only that the key is there.
 * Without `-with-x` arguments that begin with `x-` do not take part. Nothing to compare: `all` matches, `any` does not.
 *
 * A message looks only at patterns that ask for a header it has: each `any` pattern stands under all its fields, each `all` pattern
 * under the one that tells it best from those already there.
 */
export class HeadersRouting implements RoutingTable {
  readonly #patterns = new Map<Route, HeaderPattern>();
  readonly #byHeader = new Map<string, ForHeader>();
  /** `all` with nothing to compare. */
  readonly #always = new Set<HeaderPattern>();
  #matches = 0;
  /** What headers that come again have matched, until a binding comes or goes. */
  readonly #known = new Map<KnownHeaders, readonly Destination[]>();

  add(route: Route): void {
    if (this.#known.size > 0) this.#known.clear();
    const [quantifier, withX] = X_MATCH[xMatchOf(route.arguments)];
    const fields = route.arguments.filter(([key]) => key !== 'x-match' && (withX || !key.startsWith('x-')));
    const pattern = { route, quantifier, fields, matchedBy: 0 };
    this.#patterns.set(route, pattern);
    if (quantifier === 'any') for (const field of fields) this.#placeFor(field).add(pattern);
    else if (fields.length === 0) this.#always.add(pattern);
    else this.#emptiestPlace(fields).add(pattern);
  }

  remove(route: Route): void {
    if (this.#known.size > 0) this.#known.clear();
    const pattern = this.#patterns.get(route)!;
    this.#patterns.delete(route);
    this.#always.delete(pattern);
    for (const field of pattern.fields) this.#takeFrom(field, pattern);
  }

  match(_routingKey: string, headers: MessageHeaders): readonly Destination[] {
    if (this.#patterns.size === 0) return NO_DESTINATIONS;
    const { known } = headers;
    if (known === undefined) return this.#look(headers);
    let matched = this.#known.get(known);
    if (matched === undefined) {
      matched = this.#look(headers);
      if (this.#known.size === KNOWN_MAX) this.#known.clear();
      this.#known.set(known, matched);
    }
    return matched;
  }

  #look(headers: MessageHeaders): readonly Destination[] {
    const visit = ++this.#matches;
    const matched: Destination[] = [];
    for (const { route } of this.#always) matched.push(route.destination);
    if (this.#byHeader.size === 0) return matched;

    const received = headers.table;
    const look = (pattern: HeaderPattern) => {
      if (pattern.matchedBy === visit || !matches(pattern, received)) return;
      pattern.matchedBy = visit;
      matched.push(pattern.route.destination);
    };
    for (const [name, field] of received) {
      const asked = this.#byHeader.get(name);
      asked?.byValue.get(valueKey(field))?.forEach(look);
      asked?.present.forEach(look);
    }
    return matched;
  }

  #placeFor([name, field]: Table[number]): Set<HeaderPattern> {
    let forHeader = this.#byHeader.get(name);
    if (forHeader === undefined) {
      forHeader = { byValue: new Map(), present: new Set() };
      this.#byHeader.set(name, forHeader);
    }
    if (field.tag === 'V') return forHeader.present;
    const key = valueKey(field);
    let place = forHeader.byValue.get(key);
    if (place === undefined) {
      place = new Set();
      forHeader.byValue.set(key, place);
    }
    return place;
  }

  #emptiestPlace(fields: Table): Set<HeaderPattern> {
    let best = fields[0]!;
    for (const field of fields) if (this.#sizeAt(field) < this.#sizeAt(best)) best = field;
    return this.#placeFor(best);
  }

  /** Every message with the header looks at all that ask for its presence, so those count for more. */
  #sizeAt([name, field]: Table[number]): number {
    const forHeader = this.#byHeader.get(name);
    if (field.tag === 'V') return Number.MAX_SAFE_INTEGER;
    return forHeader?.byValue.get(valueKey(field))?.size ?? 0;
  }

  #takeFrom([name, field]: Table[number], pattern: HeaderPattern): void {
    const forHeader = this.#byHeader.get(name);
    if (forHeader === undefined) return;
    forHeader.present.delete(pattern);
    const key = valueKey(field);
    const place = forHeader.byValue.get(key);
    place?.delete(pattern);
    if (place?.size === 0) forHeader.byValue.delete(key);
    if (forHeader.byValue.size === 0 && forHeader.present.size === 0) this.#byHeader.delete(name);
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

/** The same for values that `sameField` calls equal: short strings and integers, of any width, are told apart, others by type only. */
function valueKey(field: Field): string {
  if (field.tag === 'S') return `S${field.value}`;
  if (field.tag === 't') return `t${field.value}`;
  const integer = integerOf(field);
  return integer === undefined ? (field.tag === 'f' || field.tag === 'd' ? 'float' : field.tag) : `i${integer}`;
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
