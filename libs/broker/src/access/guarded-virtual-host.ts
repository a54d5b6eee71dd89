import { findField, type Table } from '#amqp-codec';
import type { Consumer } from '../consumer.js';
import { newServerName } from '../engine/server-name.js';
import { ChannelError } from '../errors.js';
import { EXCHANGE_TYPES } from '../exchanges/exchange.js';
import type { Message } from '../message.js';
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
import { DEFAULT_EXCHANGE_NAME, type Right, type Rights } from './rights.js';

const RESERVED_PREFIX = 'amq.';

/**
 * A virtual host as one user may use it: every call is checked, then handed on. What needs which right, and which refusal comes first,
 * is as RabbitMQ 3.10.8 was seen to do it:
 *
 *   exchange.declare   configure; when new and with an alternate exchange also read on it and write on the alternate
 *   exchange.delete    configure
 *   queue.declare      configure; when new and with a dead-letter exchange also read on it and write on that exchange
 *   queue.delete       configure
 *   bind, unbind       write on the destination, read on the source and, where it is a topic exchange, on the key
 *   publish            write on the exchange and, where it is a topic exchange, on the key
 *   get, consume, purge   read
 *   passive declare, cancel   nothing
 */
export class GuardedVirtualHost implements VirtualHost {
  readonly name: string;
  // The last exchange somebody was let publish to, and as of which version of the rights: the next publish asks nothing.
  #openExchange = '';
  #openVersion = -1;
  #openHasRules = false;

  constructor(
    private readonly inner: VirtualHost,
    private readonly rights: Rights,
    private readonly user: string,
    /** RabbitMQ 4 says which right was missing. */
    private readonly namesRight: boolean,
  ) {
    this.name = inner.name;
  }

  get limits(): VirtualHostLimits {
    return this.inner.limits;
  }

  exchangeType(name: string): string | undefined {
    return this.inner.exchangeType(name);
  }

  hasQueue(name: string): boolean {
    return this.inner.hasQueue(name);
  }

  declareExchange(declaration: ExchangeDeclaration): void {
    const { name, type, passive } = declaration;
    // What is wrong with the declaration itself comes first; the virtual host says so.
    if (!passive && name !== '' && Object.hasOwn(EXCHANGE_TYPES, type)) {
      this.#checkExchange('configure', name);
      const alternate = textOf(declaration.arguments, 'alternate-exchange');
      const isNew = this.inner.exchangeType(name) === undefined && !name.startsWith(RESERVED_PREFIX);
      if (alternate !== undefined && isNew) {
        this.#checkExchange('read', name);
        this.#checkExchange('write', alternate);
      }
    }
    this.inner.declareExchange(declaration);
  }

  deleteExchange(name: string, ifUnused: boolean): void {
    if (name !== '' && !name.startsWith(RESERVED_PREFIX)) this.#checkExchange('configure', name);
    this.inner.deleteExchange(name, ifUnused);
  }

  bindExchange(binding: Binding): void {
    this.#checkExchange('write', binding.destination);
    if (binding.destination !== '') this.#checkSource(binding);
    this.inner.bindExchange(binding);
  }

  unbindExchange(binding: Binding): void {
    this.#checkExchange('write', binding.destination);
    if (binding.destination !== '') this.#checkSource(binding);
    this.inner.unbindExchange(binding);
  }

  declareQueue(
    declaration: QueueDeclaration,
    owner: Owner,
  ): { name: string; messageCount: number; consumerCount: number } {
    if (declaration.passive) return this.inner.declareQueue(declaration, owner);
    const name = declaration.name === '' ? newServerName() : declaration.name;
    const isNew = !this.inner.hasQueue(name);
    const isReserved = isNew && declaration.name.startsWith(RESERVED_PREFIX);
    if (!isReserved) {
      this.#checkQueue('configure', name);
      const deadLetterExchange = textOf(declaration.arguments, 'x-dead-letter-exchange');
      if (deadLetterExchange !== undefined && isNew) {
        this.#checkQueue('read', name);
        this.#checkExchange('write', deadLetterExchange);
      }
    }
    return this.inner.declareQueue({ ...declaration, serverName: name }, owner);
  }

  bindQueue(binding: Binding, owner: Owner): void {
    this.#checkQueue('write', binding.destination);
    this.#checkSource(binding);
    this.inner.bindQueue(binding, owner);
  }

  unbindQueue(binding: Binding, owner: Owner): void {
    this.#checkQueue('write', binding.destination);
    this.#checkSource(binding);
    this.inner.unbindQueue(binding, owner);
  }

  purgeQueue(name: string, owner: Owner): number {
    this.#checkQueue('read', name);
    return this.inner.purgeQueue(name, owner);
  }

  deleteQueue(name: string, condition: { ifUnused: boolean; ifEmpty: boolean }, owner: Owner): number {
    this.#checkQueue('configure', name);
    return this.inner.deleteQueue(name, condition, owner);
  }

  checkTarget(exchange: string, routingKey: string): void {
    this.#checkPublish(exchange, routingKey);
    this.inner.checkTarget(exchange, routingKey);
  }

  checkPublish(message: Message): void {
    this.#checkPublish(message.exchange, message.routingKey);
    this.inner.checkPublish(message);
  }

  publish(message: Message): PublishResult {
    this.#checkPublish(message.exchange, message.routingKey);
    return this.inner.publish(message);
  }

  consume(queueName: string, consumer: Consumer, owner: Owner): void {
    this.#checkQueue('read', queueName);
    this.inner.consume(queueName, consumer, owner);
  }

  cancel(queueName: string, consumer: Consumer): void {
    this.inner.cancel(queueName, consumer);
  }

  consumerHasRoom(queueName: string, consumer: Consumer): void {
    this.inner.consumerHasRoom(queueName, consumer);
  }

  get(queueName: string, noAck: boolean, owner: Owner, onMessage: (ready: ReadyMessage | undefined) => void): void {
    this.#checkQueue('read', queueName);
    this.inner.get(queueName, noAck, owner, onMessage);
  }

  releaseOwner(owner: Owner): void {
    this.inner.releaseOwner(owner);
  }

  #checkPublish(exchange: string, routingKey: string): void {
    const { version } = this.rights;
    if (exchange !== this.#openExchange || version !== this.#openVersion) {
      this.#checkExchange('write', exchange);
      this.#openExchange = exchange;
      this.#openVersion = version;
      this.#openHasRules = this.rights.topicRules(exchange) !== undefined;
    }
    if (this.#openHasRules) this.#checkKey('write', exchange, routingKey);
  }

  #checkSource({ source, routingKey }: Binding): void {
    if (source === '') return;
    this.#checkExchange('read', source);
    this.#checkKey('read', source, routingKey);
  }

  #checkExchange(right: Right, name: string): void {
    const shown = name === '' ? DEFAULT_EXCHANGE_NAME : name;
    if (!this.rights.may(right, shown)) throw this.#refusal(right, `exchange '${shown}'`);
  }

  #checkQueue(right: Right, name: string): void {
    if (!this.rights.may(right, name)) throw this.#refusal(right, `queue '${name}'`);
  }

  #checkKey(right: 'write' | 'read', exchange: string, routingKey: string): void {
    const rules = this.rights.topicRules(exchange);
    if (rules === undefined || rules[right].allows(routingKey)) return;
    if (this.inner.exchangeType(exchange) === 'topic') {
      throw this.#refusal(right, `topic '${routingKey}' in exchange '${exchange}'`);
    }
  }

  #refusal(right: Right, subject: string): ChannelError {
    const access = this.namesRight ? `${right} access` : 'access';
    return new ChannelError(
      'access-refused',
      `${access} to ${subject} in vhost '${this.name}' refused for user '${this.user}'`,
    );
  }
}

function textOf(args: Table, name: string): string | undefined {
  const field = findField(args, name);
  return field?.tag === 'S' ? field.value : undefined;
}
