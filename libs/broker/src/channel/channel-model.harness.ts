import { peekDeliveryMode } from '#amqp-codec';
import type { Heard } from '../wire.harness.js';

/** A message as the model knows it. */
export interface ModelMessage {
  /** Rises with the order in which messages are stored; a transaction stores at its commit. */
  place: number;
  readonly body: Buffer;
  readonly deliveryMode: number;
  redelivered: boolean;
}

export interface ModelQueue {
  readonly name: string;
  /** Publishes beyond it are refused. */
  readonly lengthMax: number;
  isDeleted: boolean;
  lastPlace: number;
  /** By rising place: what is requeued returns to its place. */
  ready: ModelMessage[];
}

export interface ModelConsumer {
  readonly tag: string;
  readonly queue: ModelQueue;
  readonly noAck: boolean;
  readonly prefetch: number;
  unacked: number;
}

interface ModelDelivery {
  readonly tag: number;
  readonly queue: ModelQueue;
  readonly message: ModelMessage;
  readonly consumer: ModelConsumer | undefined;
}

export type SettlementKind = 'ack' | 'requeue' | 'reject';

/** What the client waits for: the name of a method and what must be in it. */
export interface Due {
  readonly name: Heard['name'];
  readonly args?: Record<string, unknown>;
  readonly onHeard?: (heard: Heard) => void;
}

interface Published {
  readonly message: ModelMessage;
  readonly mandatory: boolean;
  /** Asked when it is stored: a transaction routes at its commit. */
  readonly findQueue: () => ModelQueue | undefined;
  queue?: ModelQueue | undefined;
}

type Mode =
  | { readonly kind: 'plain' }
  | { readonly kind: 'confirm'; readonly published: Published[]; confirmed: number }
  | {
      readonly kind: 'tx';
      publishes: Published[];
      settlements: { kind: SettlementKind; delivery: ModelDelivery }[];
    };

/** One channel, as a client that thinks for itself would keep it. */
export class ModelChannel {
  isOpen = false;
  mode: Mode = { kind: 'plain' };
  lastTag = 0;
  perConsumerPrefetch = 0;
  sharedPrefetch = 0;
  sharedUnacked = 0;
  unacked: ModelDelivery[] = [];
  consumers = new Map<string, ModelConsumer>();
  due: Due[] = [];
  returnsDue: ModelMessage[] = [];
  cancelsDue = new Set<string>();

  constructor(readonly number: number) {}

  /** Room for one more delivery of that consumer. */
  hasRoom(consumer: ModelConsumer): boolean {
    if (consumer.noAck) return true;
    if (consumer.prefetch !== 0 && consumer.unacked >= consumer.prefetch) return false;
    return this.sharedPrefetch === 0 || this.sharedUnacked < this.sharedPrefetch;
  }

  publish(published: Published): void {
    switch (this.mode.kind) {
      case 'plain':
        this.#store(published);
        break;
      case 'confirm':
        this.mode.published.push(published);
        this.#store(published);
        break;
      case 'tx':
        this.mode.publishes.push(published);
    }
  }

  #store(published: Published): void {
    const { message, mandatory, findQueue } = published;
    const queue = findQueue();
    published.queue = queue;
    if (queue === undefined) {
      if (mandatory) this.returnsDue.push(message);
      return;
    }
    message.place = ++queue.lastPlace;
    queue.ready.push(message);
  }

  /** Which deliveries a settlement means; undefined when it means none that exists. */
  meant(tag: number, multiple: boolean): ModelDelivery[] | undefined {
    if (multiple && tag === 0) return [...this.unacked];
    if (!this.unacked.some((delivery) => delivery.tag === tag)) return undefined;
    return this.unacked.filter((delivery) => (multiple ? delivery.tag <= tag : delivery.tag === tag));
  }

  settle(kind: SettlementKind, deliveries: readonly ModelDelivery[]): void {
    this.unacked = this.unacked.filter((delivery) => !deliveries.includes(delivery));
    for (const delivery of deliveries) {
      if (this.mode.kind === 'tx') this.mode.settlements.push({ kind, delivery });
      else this.#apply(kind, delivery);
    }
  }

  recover(): void {
    for (const delivery of this.unacked.splice(0)) this.#apply('requeue', delivery);
  }

  commit(): void {
    if (this.mode.kind !== 'tx') throw new Error('the model commits on a channel that is not transactional');
    for (const published of this.mode.publishes.splice(0)) this.#store(published);
    for (const { kind, delivery } of this.mode.settlements.splice(0)) this.#apply(kind, delivery);
  }

  rollback(): void {
    if (this.mode.kind !== 'tx') return;
    this.mode.publishes = [];
    this.unacked.push(...this.mode.settlements.splice(0).map(({ delivery }) => delivery));
    this.unacked.sort((a, b) => a.tag - b.tag);
  }

  /** It is closed, by whomever: what it holds goes back. */
  close(): void {
    this.rollback();
    this.consumers.clear();
    this.recover();
    this.isOpen = false;
    this.mode = { kind: 'plain' };
    this.returnsDue = [];
    this.cancelsDue.clear();
  }

  open(): void {
    this.isOpen = true;
    this.lastTag = 0;
    this.perConsumerPrefetch = 0;
    this.sharedPrefetch = 0;
    this.sharedUnacked = 0;
  }

  #apply(kind: SettlementKind, { queue, message, consumer }: ModelDelivery): void {
    if (consumer !== undefined) {
      consumer.unacked--;
      this.sharedUnacked--;
    }
    if (kind !== 'requeue' || queue.isDeleted) return;
    message.redelivered = true;
    queue.ready.push(message);
    queue.ready.sort((a, b) => a.place - b.place);
  }

  /** Takes in one method, or throws what is wrong with it. `step` collects what was handed out since the last command. */
  hears(heard: Heard, step: Step): void {
    const { args } = heard;
    switch (heard.name) {
      case 'basic.deliver':
        this.#onDelivery(heard, step);
        return;
      case 'basic.ack':
        this.#onConfirm('ack', heard.args.deliveryTag, heard.args.multiple, step);
        return;
      case 'basic.nack':
        this.#onConfirm('nack', heard.args.deliveryTag, heard.args.multiple, step);
        return;
      case 'basic.return': {
        const message = this.returnsDue.shift();
        must(heard.args.replyCode === 312, 'a return says 312');
        must(message?.body.equals(heard.content.body), 'a return brings back what was published');
        return;
      }
      case 'basic.cancel':
        must(this.cancelsDue.delete(heard.args.consumerTag), 'a cancel names a consumer whose queue is gone');
        return;
      default: {
        const due = this.due.shift();
        must(due?.name === heard.name, `${due?.name ?? 'nothing'} was due`);
        for (const [key, value] of Object.entries(due?.args ?? {})) {
          const actual = (args as Record<string, unknown>)[key];
          must(actual === value, `${key} is ${actual}, not ${value}`);
        }
        due?.onHeard?.(heard);
      }
    }
  }

  #onDelivery(heard: Heard & { name: 'basic.deliver' }, step: Step): void {
    const { consumerTag, deliveryTag, redelivered, routingKey } = heard.args;
    const consumer = this.consumers.get(consumerTag);
    must(consumer !== undefined, `there is no consumer ${consumerTag}`);
    must(this.hasRoom(consumer), 'a delivery goes beyond the prefetch');
    must(routingKey === consumer.queue.name, 'a delivery comes from the queue it is consumed from');
    const message = this.takes(heard, consumer.queue, deliveryTag, redelivered, step);
    if (consumer.noAck) return;
    this.unacked.push({ tag: deliveryTag, queue: consumer.queue, message, consumer });
    consumer.unacked++;
    this.sharedUnacked++;
  }

  /** Answer of basic.get. */
  onGetOk(heard: Heard & { name: 'basic.get-ok' }, queue: ModelQueue, noAck: boolean, step: Step): void {
    const { deliveryTag, redelivered, messageCount } = heard.args;
    const message = this.takes(heard, queue, deliveryTag, redelivered, step);
    must(messageCount === queue.ready.length, `get-ok counts ${messageCount}, there are ${queue.ready.length}`);
    if (!noAck) this.unacked.push({ tag: deliveryTag, queue, message, consumer: undefined });
  }

  private takes(heard: Heard, queue: ModelQueue, tag: number, redelivered: boolean, step: Step): ModelMessage {
    must(tag === this.lastTag + 1, `the tag after ${this.lastTag} is ${tag}`);
    this.lastTag = tag;
    const index = queue.ready.findIndex(({ body }) => body.equals(heard.content.body));
    const [message] = index === -1 ? [] : queue.ready.splice(index, 1);
    must(message !== undefined, 'a delivery brings what is ready in its queue');
    must(message.redelivered === redelivered, `redelivered is ${redelivered}`);
    must(peekDeliveryMode(heard.content.properties) === message.deliveryMode, 'properties come as they went');
    step.taken.push({ queue, message });
    return message;
  }

  #onConfirm(kind: 'ack' | 'nack', tag: number, multiple: boolean, step: Step): void {
    must(this.mode.kind === 'confirm', 'a confirm comes only in confirm mode');
    const { mode } = this;
    must(tag > mode.confirmed && tag <= mode.published.length, `${tag} was not waiting for its confirm`);
    must(multiple || tag === mode.confirmed + 1, `${mode.confirmed + 1} is confirmed before ${tag}`);
    must(kind === 'ack' || !multiple, 'a nack is for one');
    for (const { queue, message } of mode.published.slice(mode.confirmed, tag)) {
      must(!this.returnsDue.includes(message), 'the return of a message comes before its confirm');
      if (kind === 'nack') step.refused.push({ queue, message });
    }
    mode.confirmed = tag;
  }

  /** What has not come yet; undefined: everything has. */
  get missing(): string | undefined {
    if (this.due.length > 0) return `${this.due[0]!.name} on channel ${this.number}`;
    if (!this.isOpen) return undefined;
    if (this.returnsDue.length > 0) return 'a return';
    if (this.cancelsDue.size > 0) return 'a cancel';
    if (this.mode.kind === 'confirm' && this.mode.confirmed < this.mode.published.length) return 'a confirm';
    for (const consumer of this.consumers.values()) {
      if (consumer.queue.ready.length > 0 && this.hasRoom(consumer)) return `a delivery to ${consumer.tag}`;
    }
    return undefined;
  }
}

/** What came since the last command. */
export class Step {
  readonly taken: { queue: ModelQueue; message: ModelMessage }[] = [];
  readonly refused: { queue: ModelQueue | undefined; message: ModelMessage }[] = [];

  /** A refused message was never in its queue. */
  applyRefusals(): void {
    for (const { queue, message } of this.refused.splice(0)) {
      const index = queue?.ready.indexOf(message) ?? -1;
      must(queue !== undefined && index !== -1, 'a refused message is not delivered');
      queue.ready.splice(index, 1);
    }
  }

  /** Each queue gave away its oldest: nothing was passed over, requeued ones stood in their old place. */
  checkOrder(): void {
    for (const { queue, message } of this.taken) {
      const [oldest] = queue.ready;
      must(
        queue.isDeleted || oldest === undefined || oldest.place > message.place,
        `${message.body} overtook ${oldest?.body}`,
      );
    }
  }
}

export function must(holds: unknown, promise: string): asserts holds {
  if (!holds) throw new Error(`broken: ${promise}`);
}
