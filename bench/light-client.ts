import assert from 'node:assert';
import { createConnection, type Socket } from 'node:net';
import {
  decodeMethod,
  encodeMethod,
  encodeProperties,
  FRAME_METHOD,
  FrameParser,
  KEY_ACK,
  KEY_DELIVER,
  type MethodArguments,
  type MethodName,
  PROTOCOL_HEADER,
  peekMethodKey,
  SETTLEMENT_FRAME_BYTES,
  type Table,
  writeContent,
  writeSettlement,
} from '#amqp-codec';

/** Both brokers get the same. */
const FRAME_MAX = 131_072;
const CHANNEL = 1;
const PUBLISHES_AT_ONCE_MAX = 64;

/**
 * An AMQP client that costs next to nothing, so that a benchmark measures the broker: one channel, frames prepared once and
 * written many at a time, arrivals counted in place.
 */
export class LightClient {
  /** Publishes confirmed so far (every publish confirmed by an ack, single or multiple). */
  confirmed = 0;
  delivered = 0;
  onProgress: () => void = () => {};
  private published = 0;
  private acknowledged = 0;
  private ackEvery = Number.POSITIVE_INFINITY;
  private waiting: { name: MethodName; resolve: () => void } | undefined;

  private constructor(private readonly socket: Socket) {
    const parser = new FrameParser(0, (type, _channel, bytes, start, end) => {
      if (type === FRAME_METHOD) this.take(bytes, start, end);
    });
    socket.on('data', (chunk) => parser.push(chunk));
  }

  static async connect(port: number): Promise<LightClient> {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    const client = new LightClient(socket);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => socket.destroy());
    socket.write(PROTOCOL_HEADER);
    await client.hears('connection.start');
    const response = Buffer.from('\0guest\0guest');
    client.says(0, 'connection.start-ok', { clientProperties: [], mechanism: 'PLAIN', response, locale: 'en_US' });
    await client.hears('connection.tune');
    client.says(0, 'connection.tune-ok', { channelMax: 2047, frameMax: FRAME_MAX, heartbeat: 0 });
    await client.calls(0, 'connection.open', { virtualHost: '/' }, 'connection.open-ok');
    await client.calls(CHANNEL, 'channel.open', {}, 'channel.open-ok');
    return client;
  }

  async declareQueue(queue: string): Promise<void> {
    const flags = { passive: false, durable: true, exclusive: false, autoDelete: false, nowait: false };
    await this.calls(CHANNEL, 'queue.declare', { queue, ...flags, arguments: [] }, 'queue.declare-ok');
  }

  async deleteQueue(queue: string): Promise<void> {
    await this.calls(
      CHANNEL,
      'queue.delete',
      { queue, ifUnused: false, ifEmpty: false, nowait: false },
      'queue.delete-ok',
    );
  }

  async selectConfirms(): Promise<void> {
    await this.calls(CHANNEL, 'confirm.select', { nowait: false }, 'confirm.select-ok');
  }

  /** Publishes `count` persistent messages to `queue`, at most `window` of them unconfirmed. */
  publish(queue: string, count: number, bodyBytes: number, window: number): Promise<void> {
    const atOnce = Math.min(PUBLISHES_AT_ONCE_MAX, window);
    return this.publishPrepared(
      preparePublishes([{ exchange: '', routingKey: queue }], bodyBytes, atOnce),
      count,
      window,
    );
  }

  /** The same with prepared messages, over and over. */
  publishPrepared(prepared: PreparedPublishes, count: number, window: number): Promise<void> {
    const atOnce = Math.min(PUBLISHES_AT_ONCE_MAX, window, prepared.count);
    const target = this.published + count;
    let at = 0;
    return new Promise((resolve) => {
      const send = () => {
        while (this.published < target) {
          const wanted = Math.min(atOnce, target - this.published, prepared.count - at);
          // A few at a time: one write for each confirm would measure system calls.
          if (window - (this.published - this.confirmed) < wanted) break;
          this.socket.write(prepared.bytes.subarray(at * prepared.messageBytes, (at + wanted) * prepared.messageBytes));
          this.published += wanted;
          at = (at + wanted) % prepared.count;
        }
        this.onProgress();
        if (this.confirmed < target) return;
        this.onConfirmed = () => {};
        resolve();
      };
      this.onConfirmed = send;
      send();
    });
  }

  async consume(queue: string, prefetch: number, ackEvery: number): Promise<void> {
    await this.consumeEach([queue], prefetch, ackEvery);
  }

  /** A consumer for each queue; acknowledges by `multiple`, so every `ackEvery`th delivery of any of them. */
  async consumeEach(queues: readonly string[], prefetch: number, ackEvery: number): Promise<void> {
    this.ackEvery = ackEvery;
    const limit = { prefetchSize: 0, prefetchCount: prefetch, global: false };
    await this.calls(CHANNEL, 'basic.qos', limit, 'basic.qos-ok');
    const flags = { noLocal: false, noAck: false, exclusive: false, nowait: false, arguments: [] };
    for (const queue of queues) {
      await this.calls(CHANNEL, 'basic.consume', { queue, consumerTag: queue, ...flags }, 'basic.consume-ok');
    }
  }

  /** A method of the client's channel that has no answer (`nowait`). */
  tell<Name extends MethodName>(name: Name, fields: MethodArguments<Name>): void {
    this.says(CHANNEL, name, fields);
  }

  /** A method of the client's channel; resolves when its answer is there, and with it those of all before it. */
  call<Name extends MethodName>(name: Name, fields: MethodArguments<Name>, answer: MethodName): Promise<void> {
    return this.calls(CHANNEL, name, fields, answer);
  }

  acknowledgeAll(): void {
    if (this.delivered > this.acknowledged) this.acknowledge();
  }

  async close(): Promise<void> {
    await this.calls(
      0,
      'connection.close',
      { replyCode: 200, replyText: 'bye', classId: 0, methodId: 0 },
      'connection.close-ok',
    );
    this.socket.destroy();
  }

  private onConfirmed: () => void = () => {};

  private take(bytes: Buffer, start: number, end: number): void {
    switch (peekMethodKey(bytes, start, end)) {
      case KEY_DELIVER:
        this.delivered += 1;
        if (this.delivered - this.acknowledged >= this.ackEvery) this.acknowledge();
        this.onProgress();
        return;
      case KEY_ACK: {
        const tag = bytes.readUInt32BE(start + 4) * 2 ** 32 + bytes.readUInt32BE(start + 8);
        // One queue, one channel: both brokers confirm in order, so the highest tag counts them all.
        this.confirmed = Math.max(this.confirmed, tag);
        this.onConfirmed();
        return;
      }
      default: {
        const { name } = decodeMethod(bytes.subarray(start, end));
        if (name === this.waiting?.name) this.waiting.resolve();
        else if (name === 'channel.close' || name === 'connection.close') {
          throw new Error(`the broker closed: ${JSON.stringify(decodeMethod(bytes.subarray(start, end)))}`);
        }
      }
    }
  }

  private acknowledge(): void {
    const frame = Buffer.allocUnsafe(SETTLEMENT_FRAME_BYTES);
    writeSettlement(frame, 0, CHANNEL, KEY_ACK, this.delivered, 1);
    this.acknowledged = this.delivered;
    this.socket.write(frame);
  }

  private says<Name extends MethodName>(channel: number, name: Name, fields: MethodArguments<Name>): void {
    this.socket.write(encodeMethod(channel, name, fields));
  }

  private hears(name: MethodName): Promise<void> {
    return new Promise((resolve) => {
      this.waiting = { name, resolve };
    });
  }

  private calls<Name extends MethodName>(
    channel: number,
    name: Name,
    fields: MethodArguments<Name>,
    answer: MethodName,
  ): Promise<void> {
    const heard = this.hears(answer);
    this.says(channel, name, fields);
    return heard;
  }
}

export interface PublishTarget {
  exchange: string;
  routingKey: string;
  headers?: Table;
}

/** Publishes as bytes, all of one length, so that any stretch of them can be written in one go. */
export interface PreparedPublishes {
  bytes: Buffer;
  count: number;
  messageBytes: number;
}

/** `count` persistent publishes, to the targets in turn; names, keys and headers of all targets must be equally long. */
export function preparePublishes(
  targets: readonly PublishTarget[],
  bodyBytes: number,
  count: number,
): PreparedPublishes {
  const body = Buffer.alloc(bodyBytes, 'x');
  const messages = targets.slice(0, count).map((target) => preparePublish(target, body));
  const messageBytes = messages[0]!.length;
  assert(
    messages.every(({ length }) => length === messageBytes),
    'prepared publishes differ in length',
  );
  const bytes = Buffer.concat(Array.from({ length: count }, (_, index) => messages[index % messages.length]!));
  return { bytes, count, messageBytes };
}

function preparePublish({ exchange, routingKey, headers }: PublishTarget, body: Buffer): Buffer {
  const method = encodeMethod(CHANNEL, 'basic.publish', { exchange, routingKey, mandatory: false, immediate: false });
  const properties = encodeProperties({ deliveryMode: 2, ...(headers === undefined ? {} : { headers }) });
  const content = Buffer.alloc(body.length + properties.length + 128);
  const contentBytes = writeContent(content, 0, CHANNEL, properties, body, FRAME_MAX);
  return Buffer.concat([method, content.subarray(0, contentBytes)]);
}
