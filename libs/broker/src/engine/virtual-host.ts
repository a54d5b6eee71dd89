import { findField } from '#amqp-codec';
import type { Consumer } from '../consumer.js';
import { ChannelError, ConnectionError } from '../errors.js';
import { assertSameProperty, FIELD_TYPE_NAMES } from '../exchanges/equivalence.js';
import { EXCHANGE_TYPES, type Exchange } from '../exchanges/exchange.js';
import { readRoutingKeys } from '../exchanges/extra-keys.js';
import { assertHeadersArguments, HeadersRouting } from '../exchanges/headers.js';
import { assertTopicKey, TopicRouting } from '../exchanges/topic.js';
import { type Message, MessageWithClientDeaths } from '../message.js';
import { assertSameQueueArguments, readQueueSettings } from '../queues/arguments.js';
import { namesDeaths } from '../queues/dead-letter.js';
import { readExpirationMs } from '../queues/expiration.js';
import { Queue } from '../queues/queue.js';
import type { QueueHost } from '../queues/queue-host.js';
import type { QueueNumbers } from '../store/definitions.js';
import type {
  Binding,
  ExchangeDeclaration,
  Owner,
  PublishResult,
  QueueDeclaration,
  ReadyMessage,
  VirtualHost,
  VirtualHostLimits,
} from '../virtual-host.js';
import type { Publisher } from './publisher.js';
import { newServerName } from './server-name.js';
import type { Topology } from './topology.js';

const RESERVED_PREFIX = 'amq.';

/** What AMQP asks of a virtual host, with RabbitMQ's checks in RabbitMQ's order and its texts. */
export class EngineVirtualHost implements VirtualHost {
  limits: VirtualHostLimits = {};
  readonly #exclusive = new Map<Owner, Set<Queue>>();

  constructor(
    readonly name: string,
    private readonly topology: Topology,
    private readonly publisher: Publisher,
    private readonly queueNumbers: QueueNumbers,
    private readonly host: QueueHost,
  ) {}

  exchangeType(name: string): string | undefined {
    return this.topology.exchanges.get(name)?.properties.type;
  }

  hasQueue(name: string): boolean {
    return this.topology.queues.has(name);
  }

  declareExchange(declaration: ExchangeDeclaration): void {
    const { name } = declaration;
    refuseDefaultExchange(name);
    const existing = this.topology.exchanges.get(name);
    if (declaration.passive) {
      if (existing === undefined) throw this.#noExchange(name);
      return;
    }
    const subject = this.#exchangeSubject(name);
    if (existing !== undefined) {
      existing.assertSame(declaration, subject);
      return;
    }
    if (!Object.hasOwn(EXCHANGE_TYPES, declaration.type)) throw this.#unknownType(declaration.type);
    this.#checkNewExchange(declaration, name);
    const { type, durable, autoDelete, internal } = declaration;
    this.topology.addExchange({ name, type, durable, autoDelete, internal, arguments: declaration.arguments });
  }

  deleteExchange(name: string, ifUnused: boolean): void {
    refuseDefaultExchange(name);
    const subject = this.#exchangeSubject(name);
    if (name.startsWith(RESERVED_PREFIX)) {
      throw new ChannelError('access-refused', `deletion of system ${subject} not allowed`);
    }
    const exchange = this.topology.exchanges.get(name);
    if (exchange === undefined) return;
    if (ifUnused && exchange.outgoing.size > 0) throw new ChannelError('precondition-failed', `${subject} in use`);
    this.topology.removeExchange(exchange);
  }

  bindExchange(binding: Binding): void {
    refuseDefaultExchange(binding.source);
    refuseDefaultExchange(binding.destination);
    const source = this.#exchange(binding.source);
    const destination = this.#exchange(binding.destination);
    this.#bind(source, destination, binding);
  }

  unbindExchange(binding: Binding): void {
    refuseDefaultExchange(binding.source);
    refuseDefaultExchange(binding.destination);
    const source = this.topology.exchanges.get(binding.source);
    if (source !== undefined) this.topology.unbind(source, 'exchange', binding);
  }

  declareQueue(
    declaration: QueueDeclaration,
    owner: Owner,
  ): { name: string; messageCount: number; consumerCount: number } {
    const queue = declaration.passive ? this.#queueFor(declaration.name, owner) : this.#declare(declaration, owner);
    queue.renewLease();
    return { name: queue.name, messageCount: queue.messageCount, consumerCount: queue.consumerCount };
  }

  bindQueue(binding: Binding, owner: Owner): void {
    refuseDefaultExchange(binding.source);
    const source = this.#exchange(binding.source);
    const queue = this.#queueFor(binding.destination, owner);
    this.#bind(source, queue, binding);
  }

  unbindQueue(binding: Binding, owner: Owner): void {
    refuseDefaultExchange(binding.source);
    const source = this.topology.exchanges.get(binding.source);
    // As RabbitMQ: whose queue it is, is asked only where there is a binding to take away.
    if (source === undefined || !this.topology.isBound(source, 'queue', binding)) return;
    this.#queueFor(binding.destination, owner);
    this.topology.unbind(source, 'queue', binding);
  }

  purgeQueue(name: string, owner: Owner): number {
    return this.#queueFor(name, owner).purge();
  }

  deleteQueue(name: string, condition: { ifUnused: boolean; ifEmpty: boolean }, owner: Owner): number {
    const queue = this.topology.queues.get(name);
    if (queue === undefined) return 0;
    this.#assertOwner(queue, owner);
    const { messageCount } = queue;
    const subject = this.#queueSubject(name);
    if (condition.ifEmpty && messageCount > 0) throw new ChannelError('precondition-failed', `${subject} not empty`);
    if (condition.ifUnused && queue.consumerCount > 0) {
      throw new ChannelError('precondition-failed', `${subject} in use`);
    }
    this.removeQueue(queue);
    return messageCount;
  }

  checkTarget(exchange: string): void {
    this.#exchangeForPublish(exchange);
  }

  checkPublish(message: Message): void {
    this.#exchangeForPublish(message.exchange);
    readExpirationMs(message.properties);
    readRoutingKeys(message);
  }

  publish(received: Message): PublishResult {
    const exchange = this.#exchangeForPublish(received.exchange);
    const { routingKeys, message } = readRoutingKeys(received);
    return this.publisher.publish(exchange, this.#withTrust(message), routingKeys);
  }

  /** Where x-death of a client counts for nothing, the message must say so: its copy in a dead-letter exchange is ours. */
  #withTrust(message: Message): Message {
    return this.host.behaviour.trustsClientDeaths || !namesDeaths(message)
      ? message
      : new MessageWithClientDeaths(message);
  }

  consume(queueName: string, consumer: Consumer, owner: Owner): void {
    const queue = this.#queueFor(queueName, owner);
    if (queue.settings.type === 'quorum' && consumer.isUnderSharedPrefetch) {
      throw new ConnectionError('not-implemented', `${this.#queueSubject(queueName)} does not support global qos`);
    }
    queue.addConsumer(consumer);
  }

  cancel(queueName: string, consumer: Consumer): void {
    const queue = this.topology.queues.get(queueName);
    if (queue?.removeConsumer(consumer) === true) this.removeQueue(queue);
  }

  consumerHasRoom(queueName: string, _consumer: Consumer): void {
    this.topology.queues.get(queueName)?.schedule();
  }

  get(queueName: string, noAck: boolean, owner: Owner, onMessage: (ready: ReadyMessage | undefined) => void): void {
    const queue = this.#queueFor(queueName, owner);
    if (queue.settings.isSingleActiveConsumer) {
      const why = `basic.get operations are not supported by ${queue.settings.type} queues with single active consumer`;
      throw new ChannelError(
        'resource-locked',
        `cannot obtain access to locked ${this.#queueSubject(queueName)}. ${why}`,
      );
    }
    queue.get(noAck, onMessage);
  }

  releaseOwner(owner: Owner): void {
    for (const queue of this.#exclusive.get(owner) ?? []) this.removeQueue(queue);
  }

  removeQueue(queue: Queue): void {
    const { owner } = queue.properties;
    if (owner !== undefined) this.#disown(queue, owner);
    this.topology.removeQueue(queue);
  }

  #declare(declaration: QueueDeclaration, owner: Owner): Queue {
    const { name } = declaration;
    const durable = declaration.durable && !declaration.exclusive;
    const existing = name === '' ? undefined : this.topology.queues.get(name);
    if (existing !== undefined) {
      const subject = this.#queueSubject(name);
      if (existing.properties.owner !== (declaration.exclusive ? owner : undefined)) throw this.#lockedQueue(name);
      assertSameProperty(subject, 'durable', durable, existing.properties.durable);
      assertSameProperty(subject, 'auto_delete', declaration.autoDelete, existing.properties.autoDelete);
      assertSameQueueArguments(declaration.arguments, existing.properties.arguments, subject, this.host.behaviour);
      return existing;
    }
    return this.#createQueue({ ...declaration, durable }, owner);
  }

  #createQueue(declaration: QueueDeclaration, owner: Owner): Queue {
    if (declaration.name.startsWith(RESERVED_PREFIX)) {
      const text = `queue name '${declaration.name}' contains reserved prefix 'amq.*'`;
      throw new ChannelError('access-refused', text);
    }
    const { maxQueues } = this.limits;
    if (maxQueues !== undefined && maxQueues >= 0 && this.topology.queues.size >= maxQueues) {
      const text = `cannot declare queue '${declaration.name || declaration.serverName}': queue limit in vhost '${this.name}' (${maxQueues}) is reached`;
      throw new ChannelError('precondition-failed', text);
    }
    const name = declaration.name === '' ? (declaration.serverName ?? newServerName()) : declaration.name;
    const settings = readQueueSettings(declaration.arguments, this.#queueSubject(name), this.host.behaviour);
    if (settings.type === 'quorum') this.#checkQuorum(declaration, name);
    this.#checkTransient(declaration);

    const { durable, exclusive, autoDelete } = declaration;
    const queue = new Queue(
      { name, durable, autoDelete, arguments: declaration.arguments, owner: exclusive ? owner : undefined },
      settings,
      durable ? this.queueNumbers.take() : 0,
      this.host,
    );
    this.topology.addQueue(queue);
    if (exclusive) this.#own(queue, owner);
    return queue;
  }

  /** Quorum queues are durable, shared and named. */
  #checkQuorum(declaration: QueueDeclaration, name: string): void {
    if (declaration.name === '') {
      const text = 'Cannot declare a server-named queue for type rabbit_quorum_queue';
      throw new ChannelError('precondition-failed', text);
    }
    const flaws = [
      ['auto-delete', declaration.autoDelete],
      ['exclusive-owner', declaration.exclusive],
      ['non-durable', !declaration.durable],
    ] as const;
    const flaw = flaws.find(([, isSo]) => isSo);
    if (flaw === undefined) return;
    throw new ChannelError('precondition-failed', `invalid property '${flaw[0]}' for ${this.#queueSubject(name)}`);
  }

  #unknownType(type: string): Error {
    const text = `unknown exchange type '${type}'`;
    return this.host.behaviour.unknownExchangeType === 'closes-channel'
      ? new ChannelError('precondition-failed', text)
      : new ConnectionError('command-invalid', text);
  }

  #checkTransient({ durable, exclusive }: QueueDeclaration): void {
    if (durable || exclusive || this.host.behaviour.transientQueues === 'accepted') return;
    throw new ConnectionError(
      'internal-error',
      'Feature `transient_nonexcl_queues` is deprecated. By default, this feature is not permitted anymore: declare the queue durable or exclusive',
    );
  }

  #checkNewExchange(declaration: ExchangeDeclaration, name: string): void {
    if (name.startsWith(RESERVED_PREFIX)) {
      throw new ChannelError('access-refused', `exchange name '${name}' contains reserved prefix 'amq.*'`);
    }
    const alternate = findField(declaration.arguments, 'alternate-exchange');
    if (alternate === undefined || alternate.tag === 'S') return;
    const type = FIELD_TYPE_NAMES[alternate.tag];
    const text = `invalid type '${type}' for arg 'alternate-exchange' in ${this.#exchangeSubject(name)}`;
    throw new ChannelError('precondition-failed', text);
  }

  #bind(source: Exchange, destination: Exchange | Queue, binding: Binding): void {
    if (source.routing instanceof HeadersRouting) assertHeadersArguments(binding.arguments);
    if (source.routing instanceof TopicRouting) assertTopicKey(binding.routingKey, this.host.behaviour.topicHashesMax);
    this.topology.bind(source, destination, binding);
  }

  #exchange(name: string): Exchange {
    const exchange = this.topology.exchanges.get(name);
    if (exchange === undefined) throw this.#noExchange(name);
    return exchange;
  }

  #exchangeForPublish(name: string): Exchange {
    const exchange = this.#exchange(name);
    if (!exchange.properties.internal) return exchange;
    throw new ChannelError('access-refused', `cannot publish to internal ${this.#exchangeSubject(name)}`);
  }

  #queueFor(name: string, owner: Owner): Queue {
    const queue = this.topology.queues.get(name);
    if (queue === undefined) throw new ChannelError('not-found', `no ${this.#queueSubject(name)}`);
    this.#assertOwner(queue, owner);
    return queue;
  }

  #assertOwner(queue: Queue, owner: Owner): void {
    const { owner: holder } = queue.properties;
    if (holder !== undefined && holder !== owner) throw this.#lockedQueue(queue.name);
  }

  #lockedQueue(name: string): ChannelError {
    return new ChannelError(
      'resource-locked',
      `cannot obtain exclusive access to locked ${this.#queueSubject(name)}. It could be originally declared on another ` +
        'connection or the exclusive property value does not match that of the original declaration.',
    );
  }

  #noExchange(name: string): ChannelError {
    return new ChannelError('not-found', `no ${this.#exchangeSubject(name)}`);
  }

  #exchangeSubject(name: string): string {
    return `exchange '${name}' in vhost '${this.name}'`;
  }

  #queueSubject(name: string): string {
    return `queue '${name}' in vhost '${this.name}'`;
  }

  #own(queue: Queue, owner: Owner): void {
    const owned = this.#exclusive.get(owner);
    if (owned === undefined) this.#exclusive.set(owner, new Set([queue]));
    else owned.add(queue);
  }

  #disown(queue: Queue, owner: Owner): void {
    const owned = this.#exclusive.get(owner);
    owned?.delete(queue);
    if (owned?.size === 0) this.#exclusive.delete(owner);
  }
}

function refuseDefaultExchange(name: string): void {
  if (name === '') throw new ChannelError('access-refused', 'operation not permitted on the default exchange');
}
