import type { Table } from '#amqp-codec';

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
  match(routingKey: string, headers: () => Table): readonly Destination[];
}

export const NO_DESTINATIONS: readonly Destination[] = [];
