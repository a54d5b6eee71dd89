import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  contentFramesBytes,
  decodeMethod,
  encodeMethod,
  encodeProperties,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FrameParser,
  type Method,
  type MethodArguments,
  type MethodName,
  PROTOCOL_HEADER,
  type Properties,
  peekDeliveryMode,
  shapeOf,
  tableOf,
  writeContent,
} from '#amqp-codec';
import { Broker, type BrokerOptions } from './broker.js';
import type { Consumer, SettlementQueue } from './consumer.js';
import { ConsumerBias } from './consumer-bias.js';
import { ChannelError } from './errors.js';
import type { Message } from './message.js';
import type { Durability, PublishResult, QueueDeclaration, ReadyMessage, VirtualHost } from './virtual-host.js';

/** Two ends of an in-memory connection. */
function aStreamPair(): [Duplex, Duplex] {
  class End extends Duplex {
    other!: End;
    #resume = () => {};
    override _read(): void {
      const resume = this.#resume;
      this.#resume = () => {};
      resume();
    }
    override _write(chunk: Buffer, _encoding: string, done: () => void): void {
      // A copy, as a real socket hands out: the writer may go on using its memory.
      if (this.other.push(Buffer.from(chunk))) setImmediate(done);
      else this.other.#resume = done;
    }
    override _final(done: () => void): void {
      this.other.push(null);
      done();
    }
    override _destroy(error: Error | null, done: (error: Error | null) => void): void {
      if (!this.other.destroyed) setImmediate(() => this.other.destroy());
      done(error);
    }
  }
  const [a, b] = [new End({ allowHalfOpen: false }), new End({ allowHalfOpen: false })];
  a.other = b;
  b.other = a;
  return [a, b];
}

interface SeenFrame {
  type: number;
  channel: number;
  payload: Buffer;
}

/** Everything that arrived for one content method. */
export interface Content {
  properties: Buffer;
  body: Buffer;
}

/** A method that came in, with its content. */
export type Heard = Method & { channel: number; content: Content };

/** A client that says and hears single methods. */
export class PeerDialogue {
  /** The channel used when a call names none. */
  channel = 1;
  readonly #stream: Duplex;
  readonly #frames: SeenFrame[] = [];
  readonly #parser = new FrameParser(0, (type, channel, bytes, start, end) => {
    if (type !== FRAME_HEARTBEAT)
      this.#frames.push({ type, channel, payload: Buffer.from(bytes.subarray(start, end)) });
    else this.heartbeats++;
    this.#wake();
  });
  #wake = () => {};
  heartbeats = 0;
  isClosed = false;
  readonly raw: Buffer[] = [];

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.raw.push(chunk);
      if (!chunk.subarray(0, 4).equals(PROTOCOL_HEADER.subarray(0, 4))) this.#parser.push(chunk);
    });
    stream.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
    stream.on('error', () => {});
  }

  write(bytes: Buffer): void {
    this.#stream.write(bytes);
  }

  cut(): void {
    this.#stream.destroy();
  }

  /** Stops and goes on reading, as a slow client. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  sends<Name extends MethodName>(
    name: Name,
    args: Partial<MethodArguments<Name>> = {},
    channel = this.#channelFor(name),
  ): void {
    this.write(encodeMethod(channel, name, { ...zeroes(name), ...args }));
  }

  publishes(
    routingKey: string,
    body: string | Buffer,
    properties: Properties = {},
    args: Partial<MethodArguments<'basic.publish'>> = {},
  ): void {
    const bytes = Buffer.from(body);
    const encoded = encodeProperties(properties);
    const content = Buffer.alloc(contentFramesBytes(encoded.length, bytes.length, 4096));
    writeContent(content, 0, this.channel, encoded, bytes, 4096);
    const method = encodeMethod(this.channel, 'basic.publish', { ...zeroes('basic.publish'), routingKey, ...args });
    this.write(Buffer.concat([method, content]));
  }

  /** The next method must be `name` with at least these arguments. */
  async expects<Name extends MethodName>(
    name: Name,
    args: Partial<MethodArguments<Name>> = {},
  ): Promise<MethodArguments<Name> & { content: Content; channel: number }> {
    const frame = await this.#nextFrame(`'${name}'`);
    if (frame.type !== FRAME_METHOD) throw new Error(`expected ${name}, got a frame of type ${frame.type}`);
    const method = decodeMethod(frame.payload);
    const said = `${method.name} ${JSON.stringify(method.args)}`;
    if (method.name !== name) throw new Error(`expected ${name}, got ${said}`);
    for (const [key, value] of Object.entries(args)) {
      const actual = (method.args as Record<string, unknown>)[key];
      const matches =
        value instanceof RegExp ? value.test(String(actual)) : JSON.stringify(actual) === JSON.stringify(value);
      if (!matches) throw new Error(`expected ${key} ${JSON.stringify(value)} in ${said}`);
    }
    const content = shapeOf(name).hasContent
      ? await this.#content()
      : { properties: Buffer.alloc(0), body: Buffer.alloc(0) };
    return { ...(method.args as MethodArguments<Name>), content, channel: frame.channel };
  }

  /** The next method if it has come in with all its content; does not wait. */
  hears(): Heard | undefined {
    const [frame, header] = this.#frames;
    if (frame === undefined) return undefined;
    const method = decodeMethod(frame.payload);
    const { channel } = frame;
    if (!shapeOf(method.name).hasContent) {
      this.#frames.shift();
      return { ...method, channel, content: { properties: Buffer.alloc(0), body: Buffer.alloc(0) } };
    }
    if (header === undefined) return undefined;
    const size = Number(header.payload.readBigUInt64BE(4));
    let frames = 2;
    for (let got = 0; got < size; frames++) {
      const next = this.#frames[frames];
      if (next === undefined) return undefined;
      got += next.payload.length;
    }
    const content = this.#frames.splice(0, frames).slice(1);
    if (
      content.some((each, index) => each.channel !== channel || each.type !== (index === 0 ? FRAME_HEADER : FRAME_BODY))
    )
      throw new Error('the frames of a content are interrupted');
    const body = Buffer.concat(content.slice(1).map(({ payload }) => payload));
    return { ...method, channel, content: { properties: header.payload.subarray(12), body } };
  }

  /** The next method, whatever it is. */
  async next(): Promise<Method> {
    const frame = await this.#nextFrame('a method');
    if (frame.type !== FRAME_METHOD) throw new Error(`expected a method, got a frame of type ${frame.type}`);
    return decodeMethod(frame.payload);
  }

  /** A few turns of the event loop, in which all that can happen happens. */
  async quiet(turns = 10): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await nextTurn();
  }

  /** Nothing came in during a few turns of the event loop. */
  async expectsNothing(): Promise<void> {
    await this.quiet();
    const [frame] = this.#frames;
    if (frame === undefined) return;
    throw new Error(
      `expected nothing, got ${frame.type === FRAME_METHOD ? JSON.stringify(decodeMethod(frame.payload)) : frame.type}`,
    );
  }

  async expectsEnd(): Promise<void> {
    while (!this.isClosed) await this.#news();
  }

  async handshakes(
    options: {
      capabilities?: Record<string, boolean>;
      heartbeat?: number;
      frameMax?: number;
      user?: string;
      password?: string;
      virtualHost?: string;
    } = {},
  ): Promise<void> {
    await this.logsIn(options);
    this.sends('connection.open', { virtualHost: options.virtualHost ?? '/' });
    await this.expects('connection.open-ok');
  }

  /** Up to tune-ok. */
  async logsIn(options: Parameters<PeerDialogue['handshakes']>[0] = {}): Promise<void> {
    this.write(PROTOCOL_HEADER);
    await this.expects('connection.start');
    const { user = 'guest', password = 'guest' } = options;
    const { capabilities = { consumer_cancel_notify: true, 'connection.blocked': true }, heartbeat = 0 } = options;
    this.sends('connection.start-ok', {
      clientProperties: tableOf({ capabilities, connection_name: 'test' }),
      mechanism: 'PLAIN',
      response: Buffer.from(`\0${user}\0${password}`),
      locale: 'en_US',
    });
    const { channelMax, frameMax } = await this.expects('connection.tune');
    this.sends('connection.tune-ok', { channelMax, frameMax: options.frameMax ?? frameMax, heartbeat });
  }

  async opens(channel = 1): Promise<void> {
    this.channel = channel;
    this.sends('channel.open');
    await this.expects('channel.open-ok');
  }

  async declares(queue: string): Promise<void> {
    this.sends('queue.declare', { queue });
    await this.expects('queue.declare-ok');
  }

  async #content(): Promise<Content> {
    const header = await this.#nextFrame('a content header');
    if (header.type !== FRAME_HEADER) throw new Error('expected a content header');
    const size = Number(header.payload.readBigUInt64BE(4));
    const bodies: Buffer[] = [];
    for (let got = 0; got < size; ) {
      const body = await this.#nextFrame('a body');
      if (body.type !== FRAME_BODY) throw new Error('expected a body');
      bodies.push(body.payload);
      got += body.payload.length;
    }
    return { properties: header.payload.subarray(12), body: Buffer.concat(bodies) };
  }

  async #nextFrame(expected: string): Promise<SeenFrame> {
    while (this.#frames.length === 0) {
      if (this.isClosed) throw new Error(`expected ${expected}, but the connection is closed`);
      await this.#news();
    }
    return this.#frames.shift()!;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #channelFor(name: MethodName): number {
    return name.startsWith('connection.') ? 0 : this.channel;
  }
}

function zeroes<Name extends MethodName>(name: Name): MethodArguments<Name> {
  const zero = {
    octet: 0,
    short: 0,
    long: 0,
    longlong: 0,
    shortstr: '',
    longstr: Buffer.alloc(0),
    bit: false,
    table: [],
  };
  return Object.fromEntries(shapeOf(name).fields.map(([field, type]) => [field, zero[type]])) as MethodArguments<Name>;
}

/** A log whose syncs the test decides. */
export class FakeDurability implements Durability {
  appended = 0;
  durable = 0;
  unsyncedBytes = 0;
  syncRequests = 0;
  readonly #listeners = new Set<() => void>();

  requestSync(): void {
    this.syncRequests++;
  }

  onDurable(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  sync(upTo = this.appended): void {
    this.durable = upTo;
    for (const listener of this.#listeners) listener();
  }
}

interface Entry {
  sequence: number;
  message: Message;
  redelivered: boolean;
}

/** A queue that records what it was told to settle. */
export class FakeQueue implements SettlementQueue {
  ready: Entry[] = [];
  readonly held = new Map<number, Entry>();
  readonly consumers: Consumer[] = [];
  readonly calls: [kind: string, sequences: number[]][] = [];
  rejectsPublishes = false;
  /** Redeliveries say they failed so often. */
  failures = 0;
  sequence = 0;

  constructor(
    readonly name: string,
    readonly exclusive: boolean,
  ) {}

  /** What `timeoutMs` answers when the consumer asks for nothing. */
  consumerTimeoutMs: number | undefined;

  timeoutMs(askedMs: number | undefined): number | undefined {
    return askedMs ?? this.consumerTimeoutMs;
  }

  acknowledge(sequences: readonly number[]): void {
    this.#settle('ack', sequences);
  }

  requeue(sequences: readonly number[]): void {
    const back = this.#settle('requeue', sequences).map((entry) => ({ ...entry, redelivered: true }));
    this.ready = [...back, ...this.ready].sort((a, b) => a.sequence - b.sequence);
    this.serveSoon();
  }

  reject(sequences: readonly number[]): void {
    this.#settle('reject', sequences);
  }

  serveSoon(): void {
    setImmediate(() => this.#serve());
  }

  #serve(): void {
    for (;;) {
      const consumer = this.consumers.find((each) => each.hasRoom());
      const entry = consumer === undefined ? undefined : this.ready.shift();
      if (consumer === undefined || entry === undefined) return;
      if (!consumer.noAck) this.held.set(entry.sequence, entry);
      consumer.deliver(this, entry.sequence, entry.message, entry.redelivered, entry.redelivered ? this.failures : 0);
    }
  }

  #settle(kind: string, sequences: readonly number[]): Entry[] {
    this.calls.push([kind, [...sequences]]);
    return sequences.map((sequence) => {
      const entry = this.held.get(sequence);
      if (entry === undefined) throw new Error(`sequence ${sequence} is not held`);
      this.held.delete(sequence);
      return entry;
    });
  }
}

/** Queues in memory behind the default exchange; enough of a virtual host to talk to. */
export class FakeVirtualHost implements VirtualHost {
  readonly name = '/';
  limits = {};
  readonly queues = new Map<string, FakeQueue>();
  readonly asked: string[] = [];
  readonly released: object[] = [];
  /** Set: basic.get is answered when the test calls it. */
  answerGet: (() => void) | undefined;
  delaysGets = false;

  constructor(readonly durability: FakeDurability) {}

  exchangeType(name: string): string | undefined {
    return name === '' ? 'direct' : undefined;
  }
  hasQueue(name: string): boolean {
    return this.queues.has(name);
  }

  declareExchange({ name, passive }: { name: string; passive: boolean }): void {
    if (passive) throw new ChannelError('not-found', `no exchange '${name}' in vhost '/'`);
    this.asked.push(`declare exchange ${name}`);
  }
  deleteExchange(name: string): void {
    this.asked.push(`delete exchange ${name}`);
  }
  bindExchange({ source, destination }: { source: string; destination: string }): void {
    this.asked.push(`bind exchange ${source} to ${destination}`);
  }
  unbindExchange({ source, destination }: { source: string; destination: string }): void {
    this.asked.push(`unbind exchange ${source} from ${destination}`);
  }

  declareQueue({ name, passive, exclusive }: QueueDeclaration) {
    const queueName = name === '' ? 'amq.gen-1' : name;
    if (passive) this.queue(queueName);
    const queue = this.queues.get(queueName) ?? new FakeQueue(queueName, exclusive);
    this.queues.set(queueName, queue);
    return { name: queueName, messageCount: queue.ready.length, consumerCount: queue.consumers.length };
  }
  bindQueue({ source, destination, routingKey }: { source: string; destination: string; routingKey: string }): void {
    this.asked.push(`bind ${source} to ${destination} with ${routingKey}`);
  }
  unbindQueue({ source, destination }: { source: string; destination: string }): void {
    this.asked.push(`unbind ${source} from ${destination}`);
  }
  purgeQueue(name: string): number {
    return this.queue(name).ready.splice(0).length;
  }
  deleteQueue(name: string): number {
    const queue = this.queue(name);
    this.queues.delete(name);
    for (const consumer of queue.consumers.splice(0)) consumer.cancelledByServer();
    return queue.ready.length;
  }

  checkTarget(exchange: string): void {
    if (exchange !== '') throw new ChannelError('not-found', `no exchange '${exchange}' in vhost '/'`);
  }
  checkPublish({ exchange }: Message): void {
    this.checkTarget(exchange);
  }
  publish(message: Message): PublishResult {
    this.checkPublish(message);
    const queue = this.queues.get(message.routingKey);
    if (queue === undefined) return 'unroutable';
    if (queue.rejectsPublishes) return 'rejected';
    if (peekDeliveryMode(message.properties) === 2) this.durability.appended += 100;
    queue.ready.push({ sequence: ++queue.sequence, message, redelivered: false });
    queue.serveSoon();
    return 'routed';
  }

  consume(name: string, consumer: Consumer): void {
    const queue = this.queue(name);
    queue.consumers.push(consumer);
    queue.serveSoon();
  }
  cancel(name: string, consumer: Consumer): void {
    const consumers = this.queues.get(name)?.consumers ?? [];
    consumers.splice(consumers.indexOf(consumer), 1);
  }
  consumerHasRoom(name: string): void {
    this.queues.get(name)?.serveSoon();
  }

  get(name: string, noAck: boolean, _owner: object, onMessage: (ready: ReadyMessage | undefined) => void): void {
    const queue = this.queue(name);
    const answer = () => {
      const entry = queue.ready.shift();
      if (entry !== undefined && !noAck) queue.held.set(entry.sequence, entry);
      onMessage(entry && { ...entry, queue, failures: 0, messageCount: queue.ready.length });
    };
    if (this.delaysGets) this.answerGet = answer;
    else answer();
  }

  releaseOwner(owner: object): void {
    this.released.push(owner);
    for (const queue of this.queues.values()) if (queue.exclusive) this.queues.delete(queue.name);
  }

  queue(name: string): FakeQueue {
    const queue = this.queues.get(name);
    if (queue === undefined) throw new ChannelError('not-found', `no queue '${name}' in vhost '/'`);
    return queue;
  }
}

/** A broker on a fake virtual host, and clients that talk to it without a port. */
export class WireFixture {
  readonly durability = new FakeDurability();
  readonly virtualHost = new FakeVirtualHost(this.durability);
  readonly consumerBias = new ConsumerBias();
  readonly broker: Broker;

  constructor(options: Partial<BrokerOptions> = {}) {
    const virtualHosts = {
      virtualHost: (name: string) => (name === this.virtualHost.name ? this.virtualHost : undefined),
      onDeleting: () => {},
      consumerBias: this.consumerBias,
    };
    this.broker = new Broker({ virtualHosts, durability: this.durability, ...options });
  }

  connects(remoteAddress = '127.0.0.1'): PeerDialogue {
    const [client, server] = aStreamPair();
    this.broker.accept(server, { remoteAddress, remotePort: 40_000, localAddress: '127.0.0.1', localPort: 5672 });
    return new PeerDialogue(client);
  }

  /** A client past its handshake, with channel 1 open. */
  async aClient(): Promise<PeerDialogue> {
    const peer = this.connects();
    await peer.handshakes();
    await peer.opens();
    return peer;
  }
}

/** Waits until it holds, a turn of the event loop at a time. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await nextTurn();
}
