import type { Destination, Route, RoutingTable } from './routing.js';

/** Every binding, whatever its key. */
export class FanoutRouting implements RoutingTable {
  readonly #destinations: Destination[] = [];

  add(route: Route): void {
    this.#destinations.push(route.destination);
  }

  remove(route: Route): void {
    this.#destinations.splice(this.#destinations.indexOf(route.destination), 1);
  }

  match(): readonly Destination[] {
    return this.#destinations;
  }
}
