import assert from 'node:assert';
import { createConnection, type Socket } from 'node:net';
import {
  decodeMethod,
  encodeMethod,
  encodeProperties,
  FRAME_BODY,
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
/** One buffer for all reads of all connections: each read is worked on at once, and nothing received is kept. */
const RECEIVED = Buffer.allocUnsafeSlow(256 * 1024);
/** About this much goes out in one write, if the window has room. */
const WRITE_BYTES = 64 * 1024;

/**
 * An AMQP client that costs next to nothing, so that a benchmark measures the broker: one channel, frames prepared once and
 * written many at a time, arrivals counted in place.
 */
export class LightClient {
  published = 0;
  /** Publishes confirmed so far (every publish confirmed by an ack, single or multiple). */
  confirmed = 0;
  delivered = 0;
  /** Called after each confirm and each delivery. */
  onProgress: () => void = () => {};
  /** Called with the first and last publish number of each confirm. */
  onConfirmed: ((from: number, to: number) => void) | undefined;
  /** Called with the place of each body frame; the bytes are overwritten afterwards. */
  onBody: ((bytes: Buffer, start: number) => void) | undefined;
  private confirmedUpTo = 0;
  /** Confirmed before their neighbours: brokers may confirm in any order. Bounded by the window. */
  private readonly confirmedEarly = new Set<number>();
  private acknowledged = 0;
  private ackEvery = Number.POSITIVE_INFINITY;
  private ackedMax = Number.POSITIVE_INFINITY;
  private waiting: { name: MethodName; resolve: () => void } | undefined;
  private readonly socket: Socket;

  private constructor(port: number) {
    const parser = new FrameParser(0, (type, _channel, bytes, start, end) => {
      if (type === FRAME_METHOD) this.take(bytes, start, end);
      else if (type === FRAME_BODY && this.onBody !== undefined) this.onBody(bytes, start);
    });
    const callback = (count: number, buffer: Uint8Array) => {
      parser.push((buffer as Buffer).subarray(0, count));
      return true;
    };
    const onread = { buffer: RECEIVED, callback };
    this.socket = createConnection({ port, host: '127.0.0.1', noDelay: true, onread });
  }

  static async connect(port: number): Promise<LightClient> {
    const client = new LightClient(port);
    const { socket } = client;
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

  async declareFanout(exchange: string, queues: readonly string[]): Promise<void> {
    const flags = { passive: false, durable: true, autoDelete: false, internal: false, nowait: false };
    await this.call('exchange.declare', { exchange, type: 'fanout', ...flags, arguments: [] }, 'exchange.declare-ok');
    for (const queue of queues) {
      const binding = { queue, exchange, routingKey: '', nowait: false, arguments: [] };
      await this.call('queue.bind', binding, 'queue.bind-ok');
    }
  }

  async selectConfirms(): Promise<void> {
    await this.calls(CHANNEL, 'confirm.select', { nowait: false }, 'confirm.select-ok');
  }

  /** Publishes `count` persistent messages to `queue`, at most `window` of them unconfirmed. */
  publish(queue: string, count: number, bodyBytes: number, window: number): Promise<void> {
    const target = { exchange: '', routingKey: queue };
    return this.publishPrepared(preparePublishes([target], bodyBytes, atOnce(bodyBytes, window)), count, window);
  }

  /** The same with prepared messages, over and over. */
  publishPrepared(prepared: PreparedPublishes, count: number, window: number): Promise<void> {
    const target = this.published + count;
    const producer = new Producer(this, prepared, window, () => this.published - this.confirmed, target);
    return new Promise((resolve) => {
      this.onConfirm = () => {
        producer.pump();
        if (this.confirmed < target) return;
        this.onConfirm = () => {};
        resolve();
      };
      producer.pump();
    });
  }

  /** Bytes of `count` whole publishes. */
  writePublishes(bytes: Buffer, count: number): void {
    this.published += count;
    this.socket.write(bytes);
  }

  async consume(queue: string, prefetch: number, ackEvery: number): Promise<void> {
    await this.consumeEach([queue], prefetch, ackEvery);
  }

  /**
   * A consumer for each queue; acknowledges by `multiple`, so every `ackEvery`th delivery of any of them, and no more than `ackedMax`: the others go back to
   * their queues when it closes.
   */
  async consumeEach(
    queues: readonly string[],
    prefetch: number,
    ackEvery: number,
    ackedMax = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    this.ackEvery = ackEvery;
    this.ackedMax = ackedMax;
    const limit = { prefetchSize: 0, prefetchCount: prefetch, global: false };
    await this.calls(CHANNEL, 'basic.qos', limit, 'basic.qos-ok');
    const flags = { noLocal: false, noAck: false, exclusive: false, arguments: [] };
    for (const queue of queues.slice(0, -1)) {
      this.says(CHANNEL, 'basic.consume', { queue, consumerTag: queue, ...flags, nowait: true });
    }
    const queue = queues.at(-1)!;
    await this.calls(
      CHANNEL,
      'basic.consume',
      { queue, consumerTag: queue, ...flags, nowait: false },
      'basic.consume-ok',
    );
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
    const upTo = Math.min(this.delivered, this.ackedMax);
    if (upTo === this.acknowledged) return;
    const frame = Buffer.allocUnsafe(SETTLEMENT_FRAME_BYTES);
    writeSettlement(frame, 0, CHANNEL, KEY_ACK, upTo, 1);
    this.acknowledged = upTo;
    this.socket.write(frame);
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

  private onConfirm: () => void = () => {};

  private take(bytes: Buffer, start: number, end: number): void {
    switch (peekMethodKey(bytes, start, end)) {
      case KEY_DELIVER:
        this.delivered += 1;
        if (this.delivered - this.acknowledged >= this.ackEvery) this.acknowledgeAll();
        this.onProgress();
        return;
      case KEY_ACK: {
        const tag = bytes.readUInt32BE(start + 4) * 2 ** 32 + bytes.readUInt32BE(start + 8);
        this.noteConfirm(tag, bytes[start + 12] === 1);
        this.onConfirm();
        this.onProgress();
        return;
      }
      default: {
        const { name } = decodeMethod(bytes, start, end);
        if (name === this.waiting?.name) this.waiting.resolve();
        else if (name === 'channel.close' || name === 'connection.close') {
          throw new Error(`the broker closed: ${JSON.stringify(decodeMethod(bytes, start, end))}`);
        }
      }
    }
  }

  private noteConfirm(tag: number, multiple: boolean): void {
    const isNext = multiple || tag === this.confirmedUpTo + 1;
    this.onConfirmed?.(isNext ? this.confirmedUpTo + 1 : tag, tag);
    if (isNext) {
      this.confirmedUpTo = tag;
      if (this.confirmedEarly.size > 0) this.mergeEarly();
    } else {
      this.confirmedEarly.add(tag);
    }
    this.confirmed = this.confirmedUpTo + this.confirmedEarly.size;
  }

  private mergeEarly(): void {
    for (const tag of this.confirmedEarly) if (tag <= this.confirmedUpTo) this.confirmedEarly.delete(tag);
    while (this.confirmedEarly.delete(this.confirmedUpTo + 1)) this.confirmedUpTo++;
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

/** Publishes on a client whenever the window has room; whoever hears of progress calls `pump`. */
export class Producer {
  private readonly atOnce: number;
  /** The prepared publish that is due. */
  private at = 0;

  /** `outstanding` tells how many of what was published count against the window; nothing is sent beyond `target`. */
  constructor(
    private readonly client: LightClient,
    private readonly prepared: PreparedPublishes,
    private readonly window: number,
    private readonly outstanding: () => number,
    private target = Number.POSITIVE_INFINITY,
  ) {
    const { count, bodyBytes } = prepared;
    this.atOnce = Math.min(count, atOnce(bodyBytes, window));
  }

  pump(): void {
    const { client, prepared } = this;
    const { bytes, count, messageBytes } = prepared;
    while (client.published < this.target) {
      const wanted = Math.min(this.atOnce, this.target - client.published, count - this.at);
      if (this.window - this.outstanding() < wanted) return;
      client.writePublishes(bytes.subarray(this.at * messageBytes, (this.at + wanted) * messageBytes), wanted);
      this.at = (this.at + wanted) % count;
    }
  }

  stop(): void {
    this.target = 0;
  }
}

/** Publishes one at a time, each with the time of its sending in the first 8 bytes of the body. */
export class StampingProducer {
  private at = 0;

  /** A socket may still hold what was written last: prepare some hundred, so that each has some time before it is stamped again. */
  constructor(
    private readonly client: LightClient,
    private readonly prepared: PreparedPublishes,
  ) {}

  /** Returns the time it sent at. */
  send(): number {
    const { bytes, count, messageBytes, bodyBytes } = this.prepared;
    const start = this.at * messageBytes;
    const end = start + messageBytes;
    this.at = (this.at + 1) % count;
    const sentAt = performance.now();
    bytes.writeDoubleBE(sentAt, end - 1 - bodyBytes);
    this.client.writePublishes(bytes.subarray(start, end), 1);
    return sentAt;
  }
}

/**
 * So many at a time, or one write for each confirm would measure system calls; two such batches fit into the window, so that they
 * overlap.
 */
export function atOnce(bodyBytes: number, window: number): number {
  return Math.max(1, Math.min(Math.floor(window / 2), Math.floor(WRITE_BYTES / (bodyBytes + ENVELOPE_BYTES))));
}

/** About what frames, method and header add to a body. */
const ENVELOPE_BYTES = 64;

export interface PublishTarget {
  exchange: string;
  routingKey: string;
  headers?: Table;
  /** Persistent unless told. */
  isTransient?: boolean;
}

/** Publishes as bytes, all of one length, so that any stretch of them can be written in one go. */
export interface PreparedPublishes {
  bytes: Buffer;
  count: number;
  messageBytes: number;
  /** The body is the last thing in a message before the frame's end octet. */
  bodyBytes: number;
}

/** `count` publishes, to the targets in turn; names, keys and headers of all targets must be equally long. */
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
  return { bytes, count, messageBytes, bodyBytes };
}

function preparePublish({ exchange, routingKey, headers, isTransient }: PublishTarget, body: Buffer): Buffer {
  const method = encodeMethod(CHANNEL, 'basic.publish', { exchange, routingKey, mandatory: false, immediate: false });
  const properties = encodeProperties({
    deliveryMode: isTransient === true ? 1 : 2,
    ...(headers === undefined ? {} : { headers }),
  });
  const content = Buffer.alloc(body.length + properties.length + 128);
  const contentBytes = writeContent(content, 0, CHANNEL, properties, body, FRAME_MAX);
  return Buffer.concat([method, content.subarray(0, contentBytes)]);
}
