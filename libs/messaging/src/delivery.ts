import type { ConfirmChannel, ConsumeMessage } from 'amqplib';

/** A message given to a consumer. Settle it once; settling again, or after its channel was lost, does nothing. */
export interface Delivery {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly type: string | undefined;
  readonly messageId: string | undefined;
  readonly replyTo: string | undefined;
  readonly correlationId: string | undefined;
  readonly exchange: string;
  readonly routingKey: string;
  /** It was handed out before. */
  readonly redelivered: boolean;
  /** Its channel is gone: the broker gives the message to someone again, whatever is done with this one. */
  readonly isLost: boolean;
  ack(): void;
  /** Back to the queue, to be delivered again. */
  handBack(): void;
  /** Dropped, or dead-lettered where the queue says so. */
  reject(): void;
}

/** The unsettled deliveries of one AMQP channel. Bounded by its consumers' prefetch. */
export class UnsettledDeliveries {
  /** In order of their tags. */
  private readonly tags = new Set<number>();
  private isLost = false;

  constructor(private readonly channel: ConfirmChannel) {}

  add(message: ConsumeMessage): ChannelDelivery {
    this.tags.add(message.fields.deliveryTag);
    return new ChannelDelivery(message, this);
  }

  get lost(): boolean {
    return this.isLost;
  }

  lose(): void {
    this.isLost = true;
    this.tags.clear();
  }

  settle(message: ConsumeMessage, how: 'ack' | 'hand-back' | 'reject'): void {
    if (!this.tags.delete(message.fields.deliveryTag)) return;

    this.send(() => {
      if (how === 'ack') this.channel.ack(message);
      else this.channel.nack(message, false, how === 'hand-back');
    });
  }

  /** Acks all of them with as few frames as the others in flight allow: one with `multiple` when nothing older stays. */
  ackAll(messages: readonly ConsumeMessage[]): void {
    const mine = messages.filter((message) => this.tags.delete(message.fields.deliveryTag));
    const [oldestLeft = Number.POSITIVE_INFINITY] = this.tags;
    let upTo: ConsumeMessage | undefined;
    for (const message of mine) {
      const tag = message.fields.deliveryTag;
      if (tag > oldestLeft) this.send(() => this.channel.ack(message));
      else if (!upTo || tag > upTo.fields.deliveryTag) upTo = message;
    }
    const last = upTo;
    if (last) this.send(() => this.channel.ack(last, true));
  }

  private send(frame: () => void): void {
    if (this.isLost) return;
    try {
      frame();
    } catch {
      // The channel is closing and its loss not told yet: the broker hands these deliveries out again.
    }
  }
}

export class ChannelDelivery implements Delivery {
  constructor(
    readonly message: ConsumeMessage,
    readonly unsettled: UnsettledDeliveries,
  ) {}

  get body(): Buffer {
    return this.message.content;
  }

  get headers(): Record<string, unknown> {
    return this.message.properties.headers ?? {};
  }

  get type(): string | undefined {
    return this.message.properties.type;
  }

  get messageId(): string | undefined {
    return this.message.properties.messageId;
  }

  get replyTo(): string | undefined {
    return this.message.properties.replyTo;
  }

  get correlationId(): string | undefined {
    return this.message.properties.correlationId;
  }

  get exchange(): string {
    return this.message.fields.exchange;
  }

  get routingKey(): string {
    return this.message.fields.routingKey;
  }

  get redelivered(): boolean {
    return this.message.fields.redelivered;
  }

  get isLost(): boolean {
    return this.unsettled.lost;
  }

  ack(): void {
    this.unsettled.settle(this.message, 'ack');
  }

  handBack(): void {
    this.unsettled.settle(this.message, 'hand-back');
  }

  reject(): void {
    this.unsettled.settle(this.message, 'reject');
  }
}

/** Acks many with few frames: per AMQP channel one ack with `multiple`, where order allows. */
export function ackAll(deliveries: readonly Delivery[]): void {
  const byChannel = new Map<UnsettledDeliveries, ConsumeMessage[]>();
  for (const delivery of deliveries) {
    if (!(delivery instanceof ChannelDelivery)) {
      delivery.ack();
      continue;
    }
    const messages = byChannel.get(delivery.unsettled);
    if (messages) messages.push(delivery.message);
    else byChannel.set(delivery.unsettled, [delivery.message]);
  }
  for (const [unsettled, messages] of byChannel) unsettled.ackAll(messages);
}
