import { encodeTable, type Table } from '#amqp-codec';
import type { Binding } from '../virtual-host.js';
import type { Exchange } from './exchange.js';
import type { Destination, Route } from './routing.js';

/** A binding that exists. Durable when both its ends are. */
export interface StoredBinding extends Route {
  readonly source: Exchange;
  readonly identity: string;
  readonly isDurable: boolean;
}

/** What makes two bindings the same: ends, key and arguments in any order (RabbitMQ sorts them). */
export function bindingIdentity(kind: Destination['kind'], binding: Binding): string {
  const { source, destination, routingKey } = binding;
  return JSON.stringify([source, kind, destination, routingKey, argumentsIdentity(binding.arguments)]);
}

function argumentsIdentity(bindingArguments: Table): string {
  if (bindingArguments.length === 0) return '';
  const sorted = bindingArguments.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return encodeTable(sorted).toString('base64');
}
