import { ByteMemo, peekHeadersAt, peekProperty, type Table } from '#amqp-codec';

/** Where a binding leads. */
export interface Destination {
  readonly kind: 'queue' | 'exchange';
  readonly name: string;
  /** Number of the last publish that reached it; a publish reaches each destination once. */
  visitedBy: number;
}

/** One binding as the exchange it leaves sees it. Compared by identity. */
export interface Route {
  readonly destination: Destination;
  readonly routingKey: string;
  readonly arguments: Table;
}

/** How one exchange type finds destinations. `add` is called once per distinct binding, `remove` only with what was added. */
export interface RoutingTable {
  add(route: Route): void;
  remove(route: Route): void;
  /** May name a destination more than once. The array is the table's own: read it at once, do not keep it. */
  match(routingKey: string, headers: MessageHeaders): readonly Destination[];
}

export const NO_DESTINATIONS: readonly Destination[] = [];

/** Headers that come again and again, as bytes; compared by identity. */
export interface KnownHeaders {
  readonly bytes: Buffer;
}

/** One for all exchanges: it holds nothing of any. */
const knownHeaders = new ByteMemo<KnownHeaders>((bytes) => ({ bytes }));
const NO_HEADERS: Table = [];

/** The headers of one message. */
export interface MessageHeaders {
  readonly table: Table;
  /** The same object for the same bytes; undefined when they are seen for the first time or there are none. */
  readonly known: KnownHeaders | undefined;
}

/** Of a message as it was received: decoded when they are first asked for. */
export class ReceivedHeaders implements MessageHeaders {
  #table: Table | undefined;

  constructor(private readonly properties: Buffer) {}

  get table(): Table {
    this.#table ??= peekProperty(this.properties, 'headers') ?? NO_HEADERS;
    return this.#table;
  }

  get known(): KnownHeaders | undefined {
    const { properties } = this;
    const at = peekHeadersAt(properties);
    return at === -1 ? undefined : knownHeaders.find(properties, at, at + 4 + properties.readUInt32BE(at));
  }
}
