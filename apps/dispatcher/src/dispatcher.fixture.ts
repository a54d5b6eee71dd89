import type { Settings } from '#config';
import type {
  DispatchChanges,
  DispatcherStore,
  Envelope,
  NotificationChannel,
  OutboxMessage,
  StoredDispatch,
  TargetKind,
  WaitingTarget,
} from '#dispatch';
import { type ConsumeOptions, type Delivery, EXCHANGES, HEADERS, type OutgoingMessage } from '#messaging';
import { Dispatcher } from './dispatcher.js';
import type { Clock, DispatcherMessaging, DispatcherParts } from './dispatcher-parts.js';

/** A machine with a broker, a database and a clock, on which dispatcher processes are started and killed. No I/O, no real time. */
export class Machine {
  now = 1_800_000_000_000;
  readonly database = new FakeDatabase();
  readonly broker = new FakeBroker();
  /** Every step that any process took, in order. */
  readonly steps: string[] = [];
  private timers: { at: number; then: () => void; process: Process }[] = [];

  /** `killAt`: the step, counted from 1, at which it is killed as by `kill -9`. */
  start(over: Partial<Settings['configuration']> = {}, killAt = Number.POSITIVE_INFINITY): Process {
    const process = new Process(this, killAt);
    process.dispatcher = new Dispatcher(this.parts(process, over));
    process.dispatcher.start();
    return process;
  }

  /** Moves the clock, running timers and handing out messages as they come due. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await this.settle();
    for (;;) {
      const [next] = this.timers.filter(({ process }) => process.isAlive).sort((one, other) => one.at - other.at);
      if (!next || next.at > end) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      next.then();
      await this.settle();
    }
    this.now = end;
    await this.settle();
  }

  /** Until nobody has anything to do at this instant. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet++) {
      if (this.broker.handOut()) quiet = 0;
      await new Promise(setImmediate);
    }
  }

  clockOf(process: Process): Clock {
    return {
      now: () => this.now,
      after: (ms, then) => {
        const timer = { at: this.now + ms, then, process };
        this.timers.push(timer);
        return () => {
          this.timers = this.timers.filter((other) => other !== timer);
        };
      },
    };
  }

  private parts(process: Process, over: Partial<Settings['configuration']>): DispatcherParts {
    return {
      settings: { configuration: { ...aConfiguration(), ...over }, secretKey: Buffer.alloc(32, 1) },
      store: this.database.storeOf(process),
      messaging: this.broker.messagingOf(process),
      targetKinds: KINDS,
      logger: { info: () => {}, warn: () => {}, error: () => {} },
      metrics: { add: () => {}, set: () => {}, observe: () => {} },
      clock: this.clockOf(process),
    };
  }
}

export class Process {
  isAlive = true;
  dispatcher!: Dispatcher;
  private taken = 0;

  constructor(
    private readonly machine: Machine,
    private readonly killAt: number,
  ) {}

  get stepsTaken(): number {
    return this.taken;
  }

  /** A killed process never goes on: what it waits for never comes. */
  async step<Result>(name: string, effect: () => Result): Promise<Result> {
    await this.reach(`before ${name}`);
    const result = effect();
    await this.reach(name);
    return result;
  }

  kill(): void {
    this.isAlive = false;
    this.machine.broker.lose(this);
  }

  private async reach(name: string): Promise<void> {
    if (!this.isAlive) return new Promise(() => {});
    this.taken += 1;
    this.machine.steps.push(name);
    if (this.taken < this.killAt) return;
    this.kill();
    return new Promise(() => {});
  }
}

export class FakeDatabase {
  epoch = 0;
  readonly alerts = new Map<string, StoredDispatch['alerts'][number]>();
  readonly groups = new Map<string, StoredDispatch['groups'][number]>();
  readonly log = new Map<string, StoredDispatch['log'][number]>();
  readonly outbox = new Map<string, OutboxMessage>();
  readonly notifications = new Map<string, Envelope>();
  readonly timeline: DispatchChanges['timeline'] = [];
  readonly released: string[] = [];
  readonly digested: DispatchChanges['digested'] = [];
  readonly forgetCalls: number[] = [];
  waiting: WaitingTarget[] = [];
  /** They waited when the dispatcher looked, and no longer when it commits. */
  readonly toldMeanwhile = new Set<string>();
  /** An alert whose label `a` has this value breaks its transaction. */
  refusedLabel: string | undefined;
  /** Thrown by every statement while set. */
  failure: Error | undefined;

  storeOf(process: Process): DispatcherStore {
    const statement = <Result>(name: string, effect: () => Result) =>
      process.step(name, () => {
        if (this.failure) throw this.failure;
        return structuredClone(effect());
      });
    return {
      takeEpoch: () => statement('takeEpoch', () => ++this.epoch),
      load: () =>
        statement('load', () => ({
          alerts: [...this.alerts.values()],
          groups: [...this.groups.values()],
          log: [...this.log.values()],
        })),
      commit: (epoch, changes) => statement('commit', () => this.commit(epoch, structuredClone(changes))),
      unpublished: (limit) => statement('unpublished', () => [...this.outbox.values()].slice(0, limit)),
      markPublished: (epoch, ids) =>
        statement('markPublished', () => {
          if (epoch !== this.epoch) return 'superseded';
          for (const id of ids) this.outbox.delete(id);
          return 'marked';
        }),
      waitingTargets: () => statement('waitingTargets', () => this.waiting),
      forgetBefore: (instant, rowsMax) =>
        statement('forgetBefore', () => (this.forgetCalls.push(instant) < 3 ? rowsMax : 0)),
    };
  }

  private commit(epoch: number, changes: DispatchChanges): { due: OutboxMessage[] } | 'superseded' {
    if (epoch !== this.epoch) return 'superseded';
    if (changes.alerts.some(({ labels }) => labels['a'] === this.refusedLabel))
      throw new Error('invalid byte sequence');

    for (const alert of changes.alerts) this.alerts.set(alert.fingerprint, alert);
    for (const group of changes.groups) this.groups.set(group.key, group);
    for (const entry of changes.log) this.log.set(entry.key, entry);
    for (const key of changes.alertsForgotten) this.alerts.delete(key);
    for (const key of changes.groupsForgotten) this.groups.delete(key);
    for (const key of changes.logForgotten) this.log.delete(key);
    for (const { envelope } of changes.notifications) {
      if (this.notifications.has(envelope.id)) throw new Error(`notification ${envelope.id} exists`);
      this.notifications.set(envelope.id, envelope);
    }
    for (const id of changes.published) this.outbox.delete(id);
    const due = changes.outbox.filter(({ id }) => !this.toldMeanwhile.has(id.slice(0, id.lastIndexOf('/'))));
    for (const message of due) this.outbox.set(message.id, message);
    this.timeline.push(...changes.timeline);
    this.released.push(...changes.released);
    this.digested.push(...changes.digested);
    const gone = new Set([...changes.released, ...changes.digested.map(({ id }) => id)]);
    this.waiting = this.waiting.map((target) => ({
      ...target,
      waiting: target.waiting.filter(({ id }) => !gone.has(id)),
    }));
    return { due };
  }
}

interface Queued {
  message: Partial<OutgoingMessage> & { body: Buffer };
  redelivered: boolean;
}

interface Consumer {
  process: Process;
  options: ConsumeOptions;
  isPaused: boolean;
  isBusy: boolean;
  unacked: Set<Queued>;
}

/** One queue with a single active consumer: the oldest that is registered. */
export class FakeBroker {
  /** Set while no publish is confirmed. */
  failure: Error | undefined;
  /** Set while publishes are on their way. */
  private held: Promise<void> | undefined;
  readonly notifications: OutgoingMessage[] = [];
  readonly dead: OutgoingMessage[] = [];
  readonly replies: string[] = [];
  private queue: Queued[] = [];
  private consumers: Consumer[] = [];

  post(body: unknown, message: Partial<OutgoingMessage> = {}): void {
    const bytes = typeof body === 'string' ? body : JSON.stringify(body);
    this.queue.push({ message: { ...message, body: Buffer.from(bytes) }, redelivered: false });
  }

  /** Messages not acked, ticks aside. */
  get unsettled(): number {
    const unacked = this.consumers.flatMap((consumer) => [...consumer.unacked]);
    return [...this.queue, ...unacked].filter(({ message }) => message.type !== 'tick').length;
  }

  /** Publishes get no answer until the function that this answers with is called. */
  hold(): () => void {
    let letGo = () => {};
    this.held = new Promise((resolve) => {
      letGo = resolve;
    });
    return () => {
      this.held = undefined;
      letGo();
    };
  }

  dropTicks(): void {
    this.queue = this.queue.filter(({ message }) => message.type !== 'tick');
  }

  messagingOf(process: Process): DispatcherMessaging {
    return {
      consume: (_queue, options) => {
        const consumer: Consumer = { process, options, isPaused: false, isBusy: false, unacked: new Set() };
        this.consumers.push(consumer);
        return {
          pause: async () => {
            consumer.isPaused = true;
          },
          resume: async () => {
            consumer.isPaused = false;
            this.consumers = [...this.consumers.filter((other) => other !== consumer), consumer];
          },
        };
      },
      publish: async (message) => {
        if (message.type === 'tick') {
          if (process.isAlive && !this.failure) this.post('', message);
          return 'confirmed';
        }
        await this.held;
        return process.step('publish', () => {
          if (this.failure) throw this.failure;
          if (message.exchange === EXCHANGES.alerts.name) this.post(String(message.body), message);
          else (message.exchange === EXCHANGES.dead.name ? this.dead : this.notifications).push(message);
          return 'confirmed' as const;
        });
      },
      reply: (delivery) => process.step('reply', () => void this.replies.push(String(delivery.correlationId))),
    };
  }

  /** Answers whether anything was handed out. */
  handOut(): boolean {
    const consumer = this.consumers.find(({ process, isPaused }) => process.isAlive && !isPaused);
    if (!consumer || consumer.isBusy || this.queue.length === 0) return false;

    const batch = this.queue.splice(0, consumer.options.batchMax);
    for (const queued of batch) consumer.unacked.add(queued);
    consumer.isBusy = true;
    void Promise.resolve(consumer.options.onBatch(batch.map((queued) => this.deliveryOf(queued, consumer)))).then(
      () => {
        consumer.isBusy = false;
      },
    );
    return true;
  }

  /** The process is gone, or its AMQP channel is. */
  lose(process: Process): void {
    for (const consumer of this.consumers.filter((one) => one.process === process)) {
      this.requeue([...consumer.unacked]);
      consumer.unacked.clear();
    }
  }

  loseChannel(process: Process): void {
    this.lose(process);
    for (const consumer of this.consumers.filter((one) => one.process === process))
      consumer.options.onLost?.(new Error('channel lost'));
  }

  private deliveryOf(queued: Queued, consumer: Consumer): Delivery {
    const { message, redelivered } = queued;
    const settle = (then: () => void) => {
      if (consumer.process.isAlive && consumer.unacked.delete(queued)) then();
    };
    return {
      body: message.body,
      headers: message.headers ?? {},
      type: message.type,
      messageId: undefined,
      replyTo: message.replyTo,
      correlationId: message.correlationId,
      exchange: EXCHANGES.alerts.name,
      routingKey: 'alert',
      redelivered,
      isLost: !consumer.unacked.has(queued),
      ack: () => settle(() => {}),
      handBack: () => settle(() => this.requeue([queued])),
      reject: () => settle(() => {}),
    };
  }

  private requeue(unacked: Queued[]): void {
    this.queue.unshift(...unacked.map((queued) => ({ ...queued, redelivered: true })));
  }
}

export function isReleased(message: OutgoingMessage): boolean {
  return message.headers?.[HEADERS.released] === true;
}

const KINDS: ReadonlyMap<NotificationChannel, TargetKind> = new Map(
  (['email', 'dingtalk'] as const).map((channel) => [
    channel,
    {
      channel,
      secretFields: ['token'],
      parse: (input) => {
        const target = input as Record<string, unknown>;
        return target['to'] || target['token']
          ? { ok: true, target }
          : { ok: false, problems: [{ field: 'to', message: 'is missing' }] };
      },
      key: (target) => `${channel}:${target['to'] ?? 'robot'}`,
      budgets: () => [],
      perTargetInFlight: 100,
      digestBytesMax: 10_000,
      afterUnknown: 'resend',
    },
  ]),
);

export function aConfiguration(): Settings['configuration'] {
  return {
    senders: {},
    receivers: [
      {
        name: 'ops',
        targets: [
          { channel: 'email', sendResolved: true, target: { to: 'ops' } },
          { channel: 'dingtalk', sendResolved: true, target: { token: 's3cret' } },
        ],
      },
    ],
    route: {
      receiver: 'ops',
      groupBy: ['group'],
      ...{ groupWaitMs: 0, groupIntervalMs: 60_000, repeatIntervalMs: 3_600_000 },
      ...{ matchers: [], continue: false, routes: [] },
    },
    inhibitRules: [],
    resolveTimeoutMs: 300_000,
    dispatchLagMax: 1_000,
    worker: { channels: 1, consumersPerChannel: 1, prefetch: 1 },
    retentionMs: 1_000_000,
  };
}
