import { findField } from '#amqp-codec';
import type { ExchangeDeclaration } from '../virtual-host.js';
import type { StoredBinding } from './binding.js';
import { DirectRouting } from './direct.js';
import { assertSameArgument, assertSameProperty } from './equivalence.js';
import { FanoutRouting } from './fanout.js';
import { HeadersRouting } from './headers.js';
import type { Destination, RoutingTable } from './routing.js';
import { TopicRouting } from './topic.js';

/** Every exchange type a client may declare. To add one: a file with its RoutingTable, a line here. */
export const EXCHANGE_TYPES = {
  direct: () => new DirectRouting(),
  fanout: () => new FanoutRouting(),
  headers: () => new HeadersRouting(),
  topic: () => new TopicRouting(),
} as const satisfies Record<string, () => RoutingTable>;

export type ExchangeType = keyof typeof EXCHANGE_TYPES;

/** Exchanges every virtual host is born with. They are durable, cannot be deleted and are not written to the log. */
export const PREDECLARED_EXCHANGES: readonly { name: string; type: ExchangeType; internal: boolean }[] = [
  { name: 'amq.direct', type: 'direct', internal: false },
  { name: 'amq.fanout', type: 'fanout', internal: false },
  { name: 'amq.topic', type: 'topic', internal: false },
  { name: 'amq.headers', type: 'headers', internal: false },
  { name: 'amq.match', type: 'headers', internal: false },
  { name: 'amq.rabbitmq.trace', type: 'topic', internal: true },
];

export type ExchangeProperties = Omit<ExchangeDeclaration, 'passive'>;

/** One exchange with the bindings that leave it and those that lead to it. The virtual host makes and removes it. */
export class Exchange implements Destination {
  readonly kind = 'exchange';
  visitedBy = 0;
  /** Bindings from here, by identity. */
  readonly outgoing = new Map<string, StoredBinding>();
  readonly incoming = new Set<StoredBinding>();

  constructor(
    readonly properties: ExchangeProperties,
    readonly routing: RoutingTable,
  ) {}

  get name(): string {
    return this.properties.name;
  }

  /** Where messages go that this exchange finds no destination for. */
  get alternate(): string | undefined {
    const field = findField(this.properties.arguments, 'alternate-exchange');
    return field?.tag === 'S' ? field.value : undefined;
  }

  /** Throws 406 when a redeclaration differs. Of the arguments only `alternate-exchange` is compared, as RabbitMQ does. */
  assertSame(declaration: ExchangeProperties, subject: string): void {
    const current = this.properties;
    assertSameProperty(subject, 'type', declaration.type, current.type);
    assertSameProperty(subject, 'durable', declaration.durable, current.durable);
    assertSameProperty(subject, 'auto_delete', declaration.autoDelete, current.autoDelete);
    assertSameProperty(subject, 'internal', declaration.internal, current.internal);
    assertSameArgument(subject, 'alternate-exchange', declaration.arguments, current.arguments);
  }
}

/** The routing of a type. Throws RangeError for one that a damaged definition may name. */
export function createRouting(type: string): RoutingTable {
  if (Object.hasOwn(EXCHANGE_TYPES, type)) return EXCHANGE_TYPES[type as ExchangeType]();
  throw new RangeError(`unknown exchange type '${type}'`);
}
