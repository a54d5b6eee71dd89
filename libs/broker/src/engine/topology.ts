import { bindingIdentity, type StoredBinding } from '../exchanges/binding.js';
import { DefaultRouting } from '../exchanges/default.js';
import { createRouting, Exchange, type ExchangeProperties, PREDECLARED_EXCHANGES } from '../exchanges/exchange.js';
import type { Destination } from '../exchanges/routing.js';
import type { Queue } from '../queues/queue.js';
import type { Definitions } from '../store/definitions.js';
import type { Binding } from '../virtual-host.js';

export type BindingEnd = Exchange | Queue;

/** The exchanges, queues and bindings of one virtual host, and their durable part in the log. Makes no checks and no errors. */
export class Topology {
  readonly exchanges = new Map<string, Exchange>();
  readonly queues = new Map<string, Queue>();

  constructor(
    private readonly definitions: Definitions,
    /** Queues of all virtual hosts by their number in the log. */
    private readonly queuesByNumber: Map<number, Queue>,
  ) {
    const byName = new DefaultRouting((name) => this.queues.get(name));
    this.exchanges.set('', new Exchange(predeclared('', 'direct', false), byName));
    for (const { name, type, internal } of PREDECLARED_EXCHANGES) {
      this.exchanges.set(name, new Exchange(predeclared(name, type, internal), createRouting(type)));
    }
  }

  get bindingCount(): number {
    let count = 0;
    for (const exchange of this.exchanges.values()) count += exchange.outgoing.size;
    return count;
  }

  /** Throws ConnectionError 503 for an unknown type. */
  addExchange(properties: ExchangeProperties): void {
    this.restoreExchange(properties);
    if (properties.durable) this.definitions.saveExchange(properties);
  }

  restoreExchange(properties: ExchangeProperties): void {
    this.exchanges.set(properties.name, new Exchange(properties, createRouting(properties.type)));
  }

  removeExchange(exchange: Exchange): void {
    this.exchanges.delete(exchange.name);
    for (const binding of [...exchange.outgoing.values()]) this.#removeBinding(binding, 'source-goes');
    for (const binding of [...exchange.incoming]) this.#removeBinding(binding, 'binding-goes');
    if (exchange.properties.durable) this.definitions.dropExchange(exchange.name);
  }

  addQueue(queue: Queue): void {
    this.restoreQueue(queue);
    if (!queue.isDurable) return;
    const { name, autoDelete, arguments: queueArguments } = queue.properties;
    this.definitions.saveQueue({ name, number: queue.number, autoDelete, arguments: queueArguments });
  }

  restoreQueue(queue: Queue): void {
    this.queues.set(queue.name, queue);
    if (!queue.isDurable) return;
    this.queuesByNumber.set(queue.number, queue);
    this.definitions.queueNumbers.note(queue.number);
  }

  removeQueue(queue: Queue): void {
    this.queues.delete(queue.name);
    this.queuesByNumber.delete(queue.number);
    for (const binding of [...queue.incoming]) this.#removeBinding(binding, 'binding-goes');
    // The messages first: a crash in between leaves an empty queue, never messages without one, which would look like damage.
    queue.delete();
    if (queue.isDurable) this.definitions.dropQueue(queue.name);
  }

  /** The virtual host goes, with all its definitions. */
  clear(): void {
    for (const queue of [...this.queues.values()]) this.removeQueue(queue);
    for (const exchange of [...this.exchanges.values()]) this.removeExchange(exchange);
  }

  /** Binding twice is binding once. */
  bind(source: Exchange, destination: BindingEnd, binding: Binding): void {
    const stored = this.restoreBinding(source, destination, binding);
    if (stored === undefined || !stored.isDurable) return;
    const { routingKey, arguments: bindingArguments } = binding;
    this.definitions.saveBinding(stored.identity, {
      source: source.name,
      destination: destination.name,
      kind: destination.kind,
      routingKey,
      arguments: bindingArguments,
    });
  }

  /** Undefined when it was there already. */
  restoreBinding(source: Exchange, destination: BindingEnd, binding: Binding): StoredBinding | undefined {
    const identity = bindingIdentity(destination.kind, binding);
    if (source.outgoing.has(identity)) return undefined;
    const stored: StoredBinding = {
      source,
      destination,
      routingKey: binding.routingKey,
      arguments: binding.arguments,
      identity,
      isDurable: source.properties.durable && isDurable(destination),
    };
    source.routing.add(stored);
    source.outgoing.set(identity, stored);
    destination.incoming.add(stored);
    return stored;
  }

  isBound(source: Exchange, kind: Destination['kind'], binding: Binding): boolean {
    return source.outgoing.has(bindingIdentity(kind, binding));
  }

  /** Removing what is not there is fine. */
  unbind(source: Exchange, kind: Destination['kind'], binding: Binding): void {
    const stored = source.outgoing.get(bindingIdentity(kind, binding));
    if (stored !== undefined) this.#removeBinding(stored, 'binding-goes');
  }

  /** An auto-delete exchange goes with the last binding that leaves it, unless it is the exchange that goes first. */
  #removeBinding(binding: StoredBinding, cause: 'binding-goes' | 'source-goes'): void {
    const { source } = binding;
    source.routing.remove(binding);
    source.outgoing.delete(binding.identity);
    (binding.destination as BindingEnd).incoming.delete(binding);
    if (binding.isDurable) this.definitions.dropBinding(binding.identity);
    const isLast = source.outgoing.size === 0;
    if (cause === 'binding-goes' && isLast && source.properties.autoDelete) this.removeExchange(source);
  }
}

function isDurable(end: BindingEnd): boolean {
  return end.kind === 'queue' ? end.isDurable : end.properties.durable;
}

function predeclared(name: string, type: string, internal: boolean): ExchangeProperties {
  return { name, type, durable: true, autoDelete: false, internal, arguments: [] };
}
