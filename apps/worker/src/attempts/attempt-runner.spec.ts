import { describe, expect, it } from '@jest/globals';
import {
  type ClaimAnswer,
  type ClaimRequest,
  type Envelope,
  isFailure,
  type NotificationChannel,
  type Outcome,
  type Sender,
  type SendRequest,
  type Settlement,
  sealTarget,
  type TargetKind,
  type WorkerStore,
} from '#dispatch';
import { type Delivery, EXCHANGES, HEADERS, type OutgoingMessage, PublishError, UNPARSEABLE_KEY } from '#messaging';
import { Metrics } from '#telemetry';
import { DatabaseWatch } from '../database-watch.js';
import { AttemptRunner } from './attempt-runner.js';

const quiet = { info() {}, warn() {}, error() {} };
const secretKey = Buffer.alloc(32, 7);
const accepted: Outcome = { outcome: 'accepted', providerCode: '250' };
const busy: Outcome = { outcome: 'retryable', reason: 'provider-busy', providerCode: '451' };
const refused: Outcome = { outcome: 'permanent', reason: 'recipient', providerCode: '550', providerMessage: 'unknown' };
const silent: Outcome = { outcome: 'unknown', reason: 'no-answer' };
const limited: Outcome = { outcome: 'rate-limited', blockedForMs: 600_000 };

describe('one attempt', () => {
  it('is told once, settled and acked', async () => {
    const world = new World([accepted]);
    await world.runToEnd();
    expect(world.told).toMatchObject([
      { attempt: 1, mayRepeat: false, target: { to: 'ops@example.com', code: 's3cret' } },
    ]);
    expect(world.attempts()).toEqual(['accepted none']);
    expect(world.isDrained).toBe(true);
  });

  it('goes up the ladder while the provider fails, and is a dead letter after the last rung', async () => {
    const world = new World([busy, busy, busy, busy, busy, busy]);
    await world.runToEnd();
    expect(world.levels).toEqual(['5s', '30s', '2m', '10m', '1h']);
    expect(world.deadLetters).toMatchObject([
      { routingKey: 'email', headers: { reason: 'exhausted', attempt: 6, detail: '451' } },
    ]);
  });

  it('climbs the ladder by failures, not by what it waited for', async () => {
    const world = new World([limited, limited, busy, limited, busy, accepted]);
    while (world.settlements.at(-1)?.outcome.outcome !== 'accepted') {
      await world.runToEnd();
      world.release();
    }
    expect(world.levels).toEqual(['5s', '30s']);
  });

  it('has the whole ladder again when it is replayed', async () => {
    const world = new World([...Array<Outcome>(6).fill(busy), busy, accepted]);
    await world.runToEnd();
    expect(world.deadLetters).toHaveLength(1);
    world.replay();
    await world.runToEnd();
    expect(world.levels.slice(5)).toEqual(['5s']);
    expect(world.attempts().at(-1)).toBe('accepted none');
    expect(world.deadLetters).toHaveLength(1);
  });

  it('is a dead letter at once when the provider refuses for good, and keeps its secrets sealed there', async () => {
    const world = new World([refused]);
    await world.runToEnd();
    expect(world.deadLetters).toMatchObject([{ headers: { reason: 'recipient', attempt: 1, detail: '550 unknown' } }]);
    expect(String(world.deadLetters[0]?.body)).not.toContain('s3cret');
  });

  it('waits and closes its budgets when the provider limits the rate', async () => {
    const world = new World([limited]);
    await world.runToEnd();
    const [settlement] = world.settlements;
    expect(settlement).toMatchObject({ followUp: { next: 'wait', attempt: 2 }, blocks: [{ budget: 'email:ops' }] });
    expect(settlement?.blocks?.[0]?.until).toBe(Number(settlement?.at) + 600_000);
    expect(world.isDrained).toBe(true);
  });

  it('is a dead letter of the operator when no sender is configured', async () => {
    const world = new World([], { senders: new Map() });
    await world.runToEnd();
    expect(world.deadLetters).toMatchObject([{ headers: { reason: 'configuration' } }]);
  });

  it('is a dead letter of the operator when its secrets were sealed with another key', async () => {
    const world = new World([], { secretKey: Buffer.alloc(32, 8) });
    await world.runToEnd();
    expect(world.told).toEqual([]);
    expect(world.deadLetters).toMatchObject([{ headers: { reason: 'configuration' } }]);
    expect(String(world.deadLetters[0]?.headers?.[HEADERS.detail])).toContain('TOCSIN_SECRET_KEY');
  });

  it('is not told after it expired', async () => {
    const world = new World([], { envelope: { expiresAt: new Date(Date.now() - 1).toISOString() } });
    await world.runToEnd();
    expect(world.told).toEqual([]);
    expect(world.settlements).toMatchObject([{ suppressed: 'expired' }]);
    expect(world.isDrained).toBe(true);
  });

  it('counts as unanswered when the sender throws or does not heed its limit', async () => {
    const world = new World([new Error('bug'), 'hangs', accepted], { timeoutMs: -4_990 });
    await world.runToEnd();
    expect(world.attempts()).toEqual(['unknown retry', 'unknown retry', 'accepted none']);
  });

  it('is taken up again from the ladder when it was aborted at shutdown', async () => {
    const world = new World(['until-aborted', accepted]);
    const runner = world.startRunner();
    const taking = world.deliverAll(runner);
    await world.untilTold(1);
    runner.abortSends();
    await taking;
    await runner.whenIdle();
    expect(world.attempts()).toEqual(['retryable retry']);
    await world.runToEnd();
    expect(world.attempts()).toEqual(['retryable retry', 'accepted none']);
  });
});

describe('a delivery that is no notification', () => {
  it('goes to review as it came', async () => {
    const world = new World([]);
    world.ready = [{ body: Buffer.from('{"version":2}'), headers: {}, redelivered: false }];
    await world.runToEnd();
    expect(world.deadLetters).toMatchObject([
      { routingKey: UNPARSEABLE_KEY, headers: { reason: 'unparseable', source: 'notify.email' } },
    ]);
    expect(String(world.deadLetters[0]?.body)).toBe('{"version":2}');
    expect(world.isDrained).toBe(true);
  });
});

describe('an attempt that is under way elsewhere', () => {
  it('is asked again in 5 s with the same number when another worker holds it', async () => {
    const world = new World([accepted]);
    world.claimAnswers = [{ claim: 'busy' }];
    await world.runToEnd();
    expect(world.levels).toEqual(['5s']);
    expect(world.told).toMatchObject([{ attempt: 1 }]);
  });

  it('is settled together with its second delivery when this worker holds it', async () => {
    const world = new World(['until-aborted']);
    const runner = world.startRunner();
    const taking = world.deliverAll(runner);
    await world.untilTold(1);
    world.loseDeliveries();
    await world.deliverAll(runner);
    expect(world.unacked).toHaveLength(1);
    runner.abortSends();
    await taking;
    await runner.whenIdle();
    expect(world.told).toHaveLength(1);
    expect(world.unacked).toHaveLength(0);
  });

  it('is acked unsent when the waiting room has it', async () => {
    const world = new World([]);
    world.claimAnswers = [{ claim: 'waiting' }];
    await world.runToEnd();
    expect(world.told).toEqual([]);
    expect(world.isDrained).toBe(true);
  });
});

describe('an attempt claimed before without an outcome', () => {
  it('is told again, marked', async () => {
    const world = new World([accepted]);
    world.claims.set('n1/1', undefined);
    await world.runToEnd();
    expect(world.told).toMatchObject([{ attempt: 1, mayRepeat: true }]);
    expect(await world.counted('tocsin_attempts_repeated_total')).toBe(1);
  });

  it('is given up where its notification channel may not tell twice', async () => {
    const world = new World([], { kind: { afterUnknown: 'give-up' } });
    world.claims.set('n1/1', undefined);
    await world.runToEnd();
    expect(world.told).toEqual([]);
    expect(world.deadLetters).toMatchObject([{ headers: { reason: 'no-answer' } }]);
  });
});

describe('an attempt after one without an answer', () => {
  it('is told marked, and counted', async () => {
    const world = new World([silent, busy, accepted]);
    await world.runToEnd();
    expect(world.told.map(({ mayRepeat }) => mayRepeat)).toEqual([false, true, true]);
    expect(await world.counted('tocsin_attempts_repeated_total')).toBe(2);
  });

  it('is told, marked, when it is replayed where its notification channel may not tell twice by itself', async () => {
    const world = new World([silent, accepted], { kind: { afterUnknown: 'give-up' } });
    await world.runToEnd();
    expect(world.deadLetters).toMatchObject([{ headers: { reason: 'no-answer' } }]);
    world.replay();
    await world.runToEnd();
    expect(world.told.map(({ mayRepeat }) => mayRepeat)).toEqual([false, true]);
    expect(world.attempts().at(-1)).toBe('accepted none');
  });
});

describe('with the database away', () => {
  it('hands deliveries back unclaimed and asks for a pause', async () => {
    const world = new World([accepted]);
    const changes: string[] = [];
    world.database.onChange({ away: () => changes.push('away'), back: () => changes.push('back') });
    world.isDatabaseAway = true;
    await world.deliverAll(world.startRunner());
    expect(changes).toEqual(['away']);
    expect(world.ready).toHaveLength(1);

    world.isDatabaseAway = false;
    await world.runToEnd();
    expect(world.told).toMatchObject([{ mayRepeat: false }]);
    world.database.stop();
  });

  it('keeps an outcome until the database answers instead of telling again', async () => {
    const world = new World([accepted]);
    world.onTold = () => {
      world.isDatabaseAway = true;
    };
    world.onSettleFailed = () => {
      world.isDatabaseAway = false;
    };
    await world.runToEnd();
    expect(world.told).toHaveLength(1);
    expect(world.attempts()).toEqual(['accepted none']);
    expect(world.isDrained).toBe(true);
    world.database.stop();
  });

  it('goes to review, not round and round, what the database refuses while it answers', async () => {
    const world = new World([accepted]);
    world.refusesSettlements = true;
    await world.runToEnd();
    expect(world.told).toHaveLength(1);
    expect(world.deadLetters).toMatchObject([{ routingKey: UNPARSEABLE_KEY }]);
    expect(world.isDrained).toBe(true);
  });
});

describe('with the broker taking nothing', () => {
  it('publishes the follow-up once it does', async () => {
    const world = new World([refused]);
    world.publishFailures = [
      new PublishError('blocked', 'alarm', false),
      new PublishError('disconnected', 'cut', true),
    ];
    await world.runToEnd();
    expect(world.deadLetters).toHaveLength(1);
    expect(world.isDrained).toBe(true);
  });
});

describe('killed between two steps', () => {
  const stories = {
    accepted: [accepted],
    'retried, then accepted': [busy, accepted],
    refused: [refused],
    'without an answer, then accepted': [silent, accepted],
    limited: [limited],
  };
  for (const [name, outcomes] of Object.entries(stories)) {
    it(`loses nothing and marks each repeat: ${name}`, async () => {
      const whole = new World(outcomes);
      await whole.runToEnd();
      for (let step = 0; step < whole.steps; step += 1) {
        const world = new World(outcomes);
        world.crashAtStep = step;
        await world.runToEnd();
        expectSameEnd(world, whole, `killed at ${world.crashedAt}`);
      }
    });
  }
});

function expectSameEnd(world: World, whole: World, where: string): void {
  const unmarked = world.told.filter(({ mayRepeat }) => !mayRepeat).map(({ attempt }) => attempt);
  expect({
    where,
    isDrained: world.isDrained,
    attempts: world.attempts(),
    toldUnmarkedTwice: unmarked.length - new Set(unmarked).size,
    deadLetters: new Set(world.deadLetters.map(({ messageId }) => messageId)),
  }).toEqual({
    where,
    isDrained: true,
    attempts: whole.attempts(),
    toldUnmarkedTwice: 0,
    deadLetters: new Set(whole.deadLetters.map(({ messageId }) => messageId)),
  });
  // A kill costs one repeat at most.
  expect(world.told.length).toBeLessThanOrEqual(whole.told.length + 1);
}

type Answer = Outcome | Error | 'hangs' | 'until-aborted';
interface Queued {
  body: Buffer;
  headers: Record<string, unknown>;
  redelivered: boolean;
}

interface WorldOptions {
  senders?: ReadonlyMap<NotificationChannel, Sender>;
  secretKey?: Uint8Array;
  envelope?: Partial<Envelope>;
  kind?: Partial<TargetKind>;
  timeoutMs?: number;
}

/** A broker queue, a database and a provider that outlive the runners; each port call has a moment before and one after it at which the run can be killed. */
class World {
  ready: Queued[];
  unacked: { queued: Queued; delivery: { isLost: boolean } }[] = [];
  readonly claims = new Map<string, Settlement | undefined>();
  readonly settlements: Settlement[] = [];
  readonly told: { attempt: number; mayRepeat: boolean; target: Record<string, unknown> }[] = [];
  readonly deadLetters: OutgoingMessage[] = [];
  readonly levels: unknown[] = [];
  readonly metrics = new Metrics({ withProcess: false });
  readonly database = new DatabaseWatch({ ping: () => this.ping(), logger: quiet });
  claimAnswers: ClaimAnswer[] = [];
  publishFailures: PublishError[] = [];
  isDatabaseAway = false;
  refusesSettlements = false;
  /** Attempts before the replay. */
  replayedAfter = 0;
  onTold = () => {};
  onSettleFailed = () => {};
  steps = 0;
  crashAtStep: number | undefined;
  crashedAt: string | undefined;
  private readonly body: Buffer;
  private crashed = deferred();
  private toldWaiters: { count: number; resolve(): void }[] = [];

  constructor(
    private readonly answers: readonly Answer[],
    private readonly options: WorldOptions = {},
  ) {
    const target = sealTarget({ to: 'ops@example.com', code: 's3cret' }, ['code'], secretKey);
    const envelope: Envelope = {
      version: 1,
      id: 'n1',
      channel: 'email',
      target,
      targetKey: 'email:ops',
      severity: 'critical',
      createdAt: new Date().toISOString(),
      content: { kind: 'text', text: 'disk full' },
      ...options.envelope,
    };
    this.body = Buffer.from(JSON.stringify(envelope));
    this.ready = [];
    this.publishAgain({ attempt: 1 });
  }

  private publishAgain(headers: Record<string, unknown>): void {
    this.ready.push({ body: this.body, headers, redelivered: false });
  }

  get isDrained(): boolean {
    return this.ready.length === 0 && this.unacked.length === 0;
  }

  attempts(): string[] {
    return this.settlements.map(({ outcome, followUp }) => `${outcome.outcome} ${followUp.next}`);
  }

  /** Runs workers, a new one after each kill, until the broker holds nothing. */
  async runToEnd(): Promise<void> {
    while (!this.isDrained) {
      const runner = this.startRunner();
      while (!this.isDrained && this.crashedAt === this.lastSeenCrash) {
        await Promise.race([this.deliverAll(runner).then(() => this.settled()), this.crashed.promise]);
      }
      if (this.crashedAt !== this.lastSeenCrash) this.restart();
    }
  }

  startRunner(): AttemptRunner {
    const { options } = this;
    const store: WorkerStore = {
      claim: (requests) => this.claim(requests),
      settle: (settlements) => this.settle(settlements),
    };
    const sender: Sender = {
      channel: 'email',
      send: (request, signal) => this.send(request, signal),
      close: async () => {},
    };
    const kind: TargetKind = {
      channel: 'email',
      secretFields: ['code'],
      parse: (target) => ({ ok: true, target: target as Record<string, unknown> }),
      key: () => 'email:ops',
      budgets: () => [{ name: 'email:ops', windowMs: 60_000, limit: 20 }],
      perTargetInFlight: 1,
      digestBytesMax: 0,
      afterUnknown: 'resend',
      ...options.kind,
    };
    return new AttemptRunner({
      store,
      database: this.database,
      publish: (message) => this.publish(message),
      senders: options.senders ?? new Map([['email', sender]]),
      targetKinds: new Map([['email', kind]]),
      timeoutMs: () => options.timeoutMs,
      secretKey: options.secretKey ?? secretKey,
      claimedBy: 'run',
      logger: quiet,
      metrics: this.metrics,
    });
  }

  /** Gives the runner everything that is ready. */
  async deliverAll(runner: AttemptRunner): Promise<void> {
    const deliveries = this.ready.splice(0).map((queued) => this.deliver(queued));
    if (deliveries.length > 0) await runner.take('email', deliveries);
  }

  /** As the waiting room lets it go. */
  release(): void {
    const followUp = this.settlements.at(-1)?.followUp;
    if (followUp?.next === 'wait') this.publishAgain({ attempt: followUp.attempt, released: true });
  }

  /** As an operator sends it again. */
  replay(): void {
    this.replayedAfter = this.settlements.length;
    this.publishAgain({ attempt: this.settlements.length + 1, released: true });
  }

  /** As a cut connection does: what was not acked is ready again. */
  loseDeliveries(): void {
    for (const { queued, delivery } of this.unacked.splice(0)) {
      delivery.isLost = true;
      this.ready.push({ ...queued, redelivered: true });
    }
  }

  untilTold(count: number): Promise<void> {
    if (this.told.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.toldWaiters.push({ count, resolve }));
  }

  async counted(name: string): Promise<number> {
    const line = (await this.metrics.text()).split('\n').find((candidate) => candidate.startsWith(`${name}{`));
    return Number(line?.split(' ').at(-1));
  }

  private lastSeenCrash: string | undefined;

  private restart(): void {
    this.lastSeenCrash = this.crashedAt;
    this.crashed = deferred();
    this.loseDeliveries();
  }

  private settleWaiters: (() => void)[] = [];

  /** Resolves when the broker's view changed: something was acked, handed back or published. */
  private settled(): Promise<void> {
    if (this.ready.length > 0 || this.isDrained) return Promise.resolve();
    return new Promise((resolve) => this.settleWaiters.push(resolve));
  }

  private changed(): void {
    for (const resolve of this.settleWaiters.splice(0)) resolve();
  }

  private deliver(queued: Queued): Delivery {
    const settle = (then: () => void) => {
      const index = this.unacked.findIndex((entry) => entry.delivery === delivery);
      if (index === -1) return;
      this.unacked.splice(index, 1);
      then();
      this.changed();
    };
    const delivery = {
      ...queued,
      type: undefined,
      messageId: undefined,
      replyTo: undefined,
      correlationId: undefined,
      exchange: EXCHANGES.notifications.name,
      routingKey: 'email',
      isLost: false,
      ack: () => settle(() => {}),
      handBack: () => settle(() => this.ready.push({ ...queued, redelivered: true })),
      reject: () => settle(() => {}),
    };
    this.unacked.push({ queued, delivery });
    return delivery;
  }

  private async claim(requests: readonly ClaimRequest[]): Promise<ClaimAnswer[]> {
    await this.moment('before claim');
    if (this.isDatabaseAway) throw new Error('database away');
    const answers = requests.map((request) => this.claimAnswers.shift() ?? this.claimOne(request));
    await this.moment('after claim');
    return answers;
  }

  private claimOne({ envelope, attempt }: ClaimRequest): ClaimAnswer {
    const key = `${envelope.id}/${attempt}`;
    const settlement = this.claims.get(key);
    if (settlement) return { claim: 'settled', followUp: settlement.followUp };

    const isResumed = this.claims.has(key);
    const mayRepeat = isResumed || this.settlements.some(({ outcome }) => outcome.outcome === 'unknown');
    this.claims.set(key, undefined);
    return { claim: 'granted', mayRepeat, isResumed, failures: this.failures() };
  }

  private failures(): number {
    return this.settlements.slice(this.replayedAfter).filter(({ outcome }) => isFailure(outcome)).length;
  }

  private async settle(settlements: readonly Settlement[]): Promise<void> {
    await this.moment('before settle');
    if (this.isDatabaseAway || this.refusesSettlements) {
      // The watch asks once for the reason; the database comes back after that.
      queueMicrotask(() => setImmediate(() => this.onSettleFailed()));
      throw new Error('not stored');
    }
    for (const settlement of settlements) {
      this.claims.set(`${settlement.id}/${settlement.attempt}`, settlement);
      this.settlements.push(settlement);
    }
    await this.moment('after settle');
  }

  private async send({ attempt, mayRepeat, target }: SendRequest, signal: AbortSignal): Promise<Outcome> {
    await this.moment('before send');
    this.told.push({ attempt, mayRepeat, target });
    this.onTold();
    for (const { count, resolve } of this.toldWaiters) if (this.told.length >= count) resolve();
    await this.moment('after send');
    const answer = this.answers[attempt - 1] ?? new Error('told once too often');
    if (answer instanceof Error) throw answer;
    if (answer === 'hangs') return new Promise(() => {});
    if (answer !== 'until-aborted') return answer;
    const aborted: Outcome = { outcome: 'retryable', reason: 'aborted' };
    if (signal.aborted) return aborted;
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(aborted));
    });
  }

  private async publish(message: OutgoingMessage): Promise<'confirmed'> {
    await this.moment('before publish');
    const failure = this.publishFailures.shift();
    if (failure) throw failure;
    if (message.exchange === EXCHANGES.dead.name) this.deadLetters.push(message);
    else {
      this.levels.push(message.headers?.[HEADERS.level]);
      this.ready.push({ body: message.body as Buffer, headers: message.headers ?? {}, redelivered: false });
    }
    await this.moment('after publish');
    return 'confirmed';
  }

  private async ping(): Promise<void> {
    if (this.isDatabaseAway) throw new Error('database away');
  }

  /** The run that is killed here hears nothing any more: its call never returns. */
  private async moment(name: string): Promise<void> {
    const step = this.steps;
    this.steps += 1;
    if (step !== this.crashAtStep) return;

    this.crashedAt = name;
    this.crashed.resolve();
    await new Promise(() => {});
  }
}

function deferred(): { promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((resolvePromise) => {
    resolve = resolvePromise;
  });
  return { promise, resolve };
}
