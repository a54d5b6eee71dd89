import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeProperties, encodeProperties, type PlainTable, type Properties, plainTable, tableOf } from '#amqp-codec';
import type { Consumer, SettlementQueue } from '../consumer.js';
import { type Engine, type EngineOptions, openEngine } from '../engine.js';
import { Message } from '../message.js';
import type { Clock, Timer } from '../queues/clock.js';
import type { PublishResult, ReadyMessage, VirtualHost } from '../virtual-host.js';

/** Time that moves when told; timers that fall due run in their order. */
export class FakeClock implements Clock {
  #now = 1_000_000;
  #timers: { dueAt: number; onDue: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  startTimer(delayMs: number, onDue: () => void): Timer {
    const timer = { dueAt: this.#now + delayMs, onDue };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((each) => each !== timer);
      },
    };
  }

  get timerCount(): number {
    return this.#timers.length;
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.dueAt <= end).sort((a, b) => a.dueAt - b.dueAt)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.dueAt);
      next.onDue();
      await ticks();
    }
    this.#now = end;
    await ticks();
  }
}

/** Lets the engine's tick run, twice: a dead letter of the first is delivered in the second. */
export async function ticks(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export interface Delivered {
  queue: SettlementQueue;
  sequence: number;
  body: string;
  redelivered: boolean;
  failures: number;
  message: Message;
}

export class TestConsumer implements Consumer {
  readonly deliveries: Delivered[] = [];
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly isUnderSharedPrefetch: boolean;
  room: number;
  isCancelled = false;

  constructor(
    options: Partial<
      Pick<TestConsumer, 'tag' | 'noAck' | 'exclusive' | 'priority' | 'isUnderSharedPrefetch' | 'room'>
    > = {},
  ) {
    this.tag = options.tag ?? 'test';
    this.noAck = options.noAck ?? false;
    this.exclusive = options.exclusive ?? false;
    this.priority = options.priority ?? 0;
    this.isUnderSharedPrefetch = options.isUnderSharedPrefetch ?? false;
    this.room = options.room ?? Number.POSITIVE_INFINITY;
  }

  get bodies(): string[] {
    return this.deliveries.map((delivery) => delivery.body);
  }

  hasRoom(): boolean {
    return this.room > 0;
  }

  deliver(queue: SettlementQueue, sequence: number, message: Message, redelivered: boolean, failures: number): void {
    this.room--;
    this.deliveries.push({ queue, sequence, body: message.body.toString(), redelivered, failures, message });
  }

  cancelledByServer(): void {
    this.isCancelled = true;
  }
}

/** An engine on a directory of its own with a clock that stands still. Close it in `afterEach`. */
export class EngineUnderTest {
  readonly clock: FakeClock;
  readonly reports: string[] = [];
  #engine!: Engine;

  private constructor(
    readonly directory: string,
    private readonly options: Partial<EngineOptions>,
    clock = new FakeClock(),
  ) {
    this.clock = clock;
  }

  static async open(options: Partial<EngineOptions> = {}): Promise<EngineUnderTest> {
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'engine-')));
    const { clock } = options;
    const engine = new EngineUnderTest(directory, options, clock instanceof FakeClock ? clock : undefined);
    await engine.#open();
    return engine;
  }

  get engine(): Engine {
    return this.#engine;
  }

  /** What the calls below work on. */
  virtualHostName = '/';

  get host(): VirtualHost {
    return this.#engine.virtualHost(this.virtualHostName)!;
  }

  /** Makes a virtual host and goes there. */
  enterNewVirtualHost(name: string): void {
    this.#engine.putVirtualHost({ name, description: '', tags: [] });
    this.virtualHostName = name;
  }

  async reopen(): Promise<void> {
    await this.#engine.close();
    await this.#open();
  }

  /** Closes and leaves the directory. */
  closeKeeping(): Promise<void> {
    return this.#engine.close();
  }

  async close(): Promise<void> {
    await this.#engine.close();
    await rm(this.directory, { recursive: true });
  }

  readonly owner = {};

  queue(
    name: string,
    queueArguments: PlainTable = {},
    flags: Partial<Record<'durable' | 'exclusive' | 'autoDelete' | 'passive', boolean>> = {},
  ): { name: string; messageCount: number; consumerCount: number } {
    const declaration = { name, passive: false, durable: true, exclusive: false, autoDelete: false, ...flags };
    return this.host.declareQueue({ ...declaration, arguments: tableOf(queueArguments) }, this.owner);
  }

  exchange(
    name: string,
    type: string,
    exchangeArguments: PlainTable = {},
    flags: Partial<Record<'durable' | 'internal' | 'autoDelete' | 'passive', boolean>> = {},
  ): void {
    const declaration = { name, type, passive: false, durable: true, internal: false, autoDelete: false, ...flags };
    this.host.declareExchange({ ...declaration, arguments: tableOf(exchangeArguments) });
  }

  bind(source: string, destination: string, routingKey = '', bindingArguments: PlainTable = {}): void {
    this.host.bindQueue({ source, destination, routingKey, arguments: tableOf(bindingArguments) }, this.owner);
  }

  bindExchange(source: string, destination: string, routingKey = ''): void {
    this.host.bindExchange({ source, destination, routingKey, arguments: [] });
  }

  /** Persistent unless told otherwise. */
  publish(
    exchange: string,
    routingKey: string,
    body: string | Buffer,
    properties: Properties & { plainHeaders?: PlainTable } = {},
  ): PublishResult {
    const { plainHeaders, ...given } = properties;
    const headers = plainHeaders === undefined ? given.headers : tableOf(plainHeaders);
    const encoded = encodeProperties({ deliveryMode: 2, ...given, headers });
    return this.host.publish(new Message(exchange, routingKey, encoded, Buffer.from(body)));
  }

  consume(queue: string, options?: ConstructorParameters<typeof TestConsumer>[0]): TestConsumer {
    const consumer = new TestConsumer(options);
    this.host.consume(queue, consumer, this.owner);
    return consumer;
  }

  get(queue: string, noAck = true): Promise<ReadyMessage | undefined> {
    return new Promise((resolve) => this.host.get(queue, noAck, this.owner, resolve));
  }

  /** Takes everything that is ready. */
  async drain(queue: string): Promise<string[]> {
    const bodies: string[] = [];
    for (let ready = await this.get(queue); ready !== undefined; ready = await this.get(queue)) {
      bodies.push(ready.message.body.toString());
    }
    return bodies;
  }

  ready(queue: string): number {
    return this.host.declareQueue(
      { name: queue, passive: true, durable: false, exclusive: false, autoDelete: false, arguments: [] },
      this.owner,
    ).messageCount;
  }

  unacked(queue: string): number {
    return this.#engine.stats().queues.find((each) => each.name === queue && each.virtualHost === this.virtualHostName)!
      .unacked;
  }

  /** Resolves when everything appended so far is on disk. */
  synced(): Promise<void> {
    const { durability } = this.#engine;
    const target = durability.appended;
    return new Promise((resolve) => {
      const look = () => {
        if (durability.durable < target) return;
        stop();
        resolve();
      };
      const stop = durability.onDurable(look);
      durability.requestSync();
      look();
    });
  }

  async #open(): Promise<void> {
    this.#engine = await openEngine({
      directory: this.directory,
      clock: this.clock,
      log: (text) => this.reports.push(text),
      ...this.options,
    });
  }
}

export function headersOf(message: Message): ReturnType<typeof plainTable> {
  return plainTable(decodeProperties(message.properties).headers ?? []);
}
