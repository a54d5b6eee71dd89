import type { Exchange } from './exchange.js';
import type { Destination, MessageHeaders } from './routing.js';

let visits = 0;

/**
 * The destinations of kind queue for one publish, each once, in the order found: bindings, bindings between exchanges (each exchange is
 * visited once, so cycles end) and, where an exchange finds nothing, its alternate.
 */
export function route<Queue extends Destination & { kind: 'queue' }>(
  start: Exchange,
  routingKeys: readonly string[],
  headers: MessageHeaders,
  findExchange: (name: string) => Exchange | undefined,
): Queue[] {
  const first = start.routing.match(routingKeys[0]!, headers);
  // Nearly every publish leads to one queue and nowhere else.
  if (first.length === 1 && first[0]!.kind === 'queue' && routingKeys.length === 1) return [first[0] as Queue];
  return walk<Queue>(start, first, routingKeys, headers, findExchange);
}

/** `first` is what the first key leads to. */
function walk<Queue extends Destination & { kind: 'queue' }>(
  start: Exchange,
  first: readonly Destination[],
  routingKeys: readonly string[],
  headers: MessageHeaders,
  findExchange: (name: string) => Exchange | undefined,
): Queue[] {
  const visit = ++visits;
  const queues: Queue[] = [];
  const pending: Exchange[] = [start];
  start.visitedBy = visit;

  const reach = (destination: Destination) => {
    if (destination.visitedBy === visit) return;
    destination.visitedBy = visit;
    if (destination.kind === 'queue') queues.push(destination as Queue);
    else pending.push(destination as Exchange);
  };

  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    let found = 0;
    for (let index = 0; index < routingKeys.length; index++) {
      const isKnown = next === start && index === 0;
      const destinations = isKnown ? first : next.routing.match(routingKeys[index]!, headers);
      found += destinations.length;
      for (const destination of destinations) reach(destination);
    }
    if (found > 0 || next.alternate === undefined) continue;
    const alternate = findExchange(next.alternate);
    if (alternate !== undefined) reach(alternate);
  }
  return queues;
}
