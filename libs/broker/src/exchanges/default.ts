import { type Destination, NO_DESTINATIONS, type RoutingTable } from './routing.js';

/** The exchange without a name: the routing key is the name of a queue. It has no bindings of its own. */
export class DefaultRouting implements RoutingTable {
  constructor(private readonly findQueue: (name: string) => Destination | undefined) {}

  add(): void {
    throw new Error('the default exchange takes no bindings');
  }

  remove(): void {
    throw new Error('the default exchange takes no bindings');
  }

  match(routingKey: string): readonly Destination[] {
    const queue = this.findQueue(routingKey);
    return queue === undefined ? NO_DESTINATIONS : [queue];
  }
}
