import { type Destination, NO_DESTINATIONS, type Route, type RoutingTable } from './routing.js';

/** Routing key equals binding key. */
export class DirectRouting implements RoutingTable {
  readonly #byKey = new Map<string, Destination[]>();

  add(route: Route): void {
    const destinations = this.#byKey.get(route.routingKey);
    if (destinations === undefined) this.#byKey.set(route.routingKey, [route.destination]);
    else destinations.push(route.destination);
  }

  remove(route: Route): void {
    const destinations = this.#byKey.get(route.routingKey)!;
    destinations.splice(destinations.indexOf(route.destination), 1);
    if (destinations.length === 0) this.#byKey.delete(route.routingKey);
  }

  match(routingKey: string): readonly Destination[] {
    return this.#byKey.get(routingKey) ?? NO_DESTINATIONS;
  }
}
