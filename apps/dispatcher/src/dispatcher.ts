import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Dispatch, type DispatchOptions } from '#dispatch';
import {
  ALERT_KEY,
  type Delivery,
  DISPATCH_QUEUE,
  EXCHANGES,
  MESSAGE_TYPES,
  PublishError,
  type Subscription,
} from '#messaging';
import { type Clock, type DispatcherParts, SYSTEM_CLOCK } from './dispatcher-parts.js';
import { itemsOf } from './inbox.js';
import { publishApart, publishUnreadable } from './outbox.js';
import { readDispatchOptions } from './receivers.js';
import { Reign } from './reign.js';
import { SupersededError } from './superseded-error.js';
import { Suspects } from './suspects.js';

/** Deliveries taken in one turn, and how long the first waits for company. Under load they gather while the turn before is at work; what waits here is a lone alert. */
const BATCH_MAX = 500;
const BATCH_WAIT_MS = 1;
/** Handed to this process and not settled: three batches, one being published, one at work and one at hand. */
const PREFETCH = 1_500;
/** Bodies taken into one turn; a larger batch becomes several turns. A single larger body still is one. */
const TURN_BYTES_MAX = 8 * 1024 * 1024;

const TICK_INTERVAL_MS = 1_000;
const TICK_EXPIRATION_MS = 5_000;
/** Every dispatcher ticks each second, so a silence means that the broker gives us nothing any more. */
const SILENCE_MS_MAX = 5_000;
/** A step that takes longer is given up: the deliveries it holds belong to whoever can work. */
const TURN_MS_MAX = 30_000;
const COMEBACK_MS_MIN = 500;
const COMEBACK_MS_MAX = 10_000;
/** Way out: the turn under way may finish. */
const STOP_MS_MAX = 8_000;
const TIMER_MS_MAX = 2 ** 31 - 1;

type State =
  | { at: 'new' }
  /** Consumes, and gets nothing while another dispatcher is the single active consumer. */
  | { at: 'standby' }
  | { at: 'active'; reign: Reign }
  /** Does not consume; back to standby after a pause. */
  | { at: 'stepping-down' }
  | { at: 'stopped' };

/**
 * Decides when this process is the active dispatcher, and gives its reign one turn after the other. A delivery makes it active; a silence of five seconds, a
 * lost AMQP channel, or a turn that fails makes it stop: it drops its state, hands its deliveries back and queues up as a standby again. Two that believe
 * to be active harm nothing: only the later epoch can write.
 */
export class Dispatcher {
  private readonly clock: Clock;
  private readonly options: DispatchOptions;
  private readonly holder = `${hostname()}:${process.pid}:${randomUUID()}`;
  private state: State = { at: 'new' };
  private subscription: Pick<Subscription, 'pause' | 'resume'> | undefined;
  private turns: Promise<void> = Promise.resolve();
  private turnsUnderWay = 0;
  private heardAt = 0;
  /** Since the last batch that went through. */
  private failures = 0;
  private readonly suspects = new Suspects();
  private tickUnderWay = false;
  private cancelTick = () => {};
  private cancelDue = () => {};
  private cancelComeback = () => {};

  /** Throws one sentence when the receivers or routes cannot be used. */
  constructor(private readonly parts: DispatcherParts) {
    this.clock = parts.clock ?? SYSTEM_CLOCK;
    this.options = readDispatchOptions(parts);
    new Dispatch(this.options);
  }

  get isActive(): boolean {
    return this.state.at === 'active';
  }

  start(): void {
    this.state = { at: 'standby' };
    this.subscription = this.parts.messaging.consume(DISPATCH_QUEUE, {
      prefetch: PREFETCH,
      batchMax: BATCH_MAX,
      batchWaitMs: BATCH_WAIT_MS,
      onBatch: (deliveries) => this.take(deliveries),
      onLost: (error) => void this.inTurn(() => this.stopReigning(error)),
    });
    this.tick();
  }

  /** Takes nothing more, finishes the turn under way, hands the rest back. Within 8 s. */
  async stop(): Promise<void> {
    const { state } = this;
    this.state = { at: 'stopped' };
    this.cancelTick();
    this.cancelDue();
    this.cancelComeback();
    this.parts.metrics.set('dispatcher_active', {}, 0);
    const stopping = Promise.all([this.subscription?.pause(), this.turns]).then(() => {
      return state.at === 'active' ? state.reign.finishLast() : undefined;
    });
    await within(STOP_MS_MAX, this.clock, stopping, 'stopping').catch((error: Error) => {
      this.parts.logger.warn({ error: error.message }, 'the turn under way is left to the next start');
    });
    if (state.at === 'active') state.reign.end();
  }

  /* ---- turns ---- */

  /** A delivery, if only a tick, says that this process is the active one. After a failure they are taken one by one, to find one that is to blame. */
  private async take(deliveries: Delivery[]): Promise<void> {
    this.heardAt = this.clock.now();
    const before = this.failures;
    for (const slice of this.failures > 0 ? deliveries.map((delivery) => [delivery]) : inSlices(deliveries)) {
      await this.inTurn(() => this.takeTurn(slice));
    }
    if (this.failures === before) this.failures = 0;
  }

  private async takeTurn(deliveries: readonly Delivery[]): Promise<void> {
    const { state } = this;
    if (state.at !== 'active' && state.at !== 'standby') return handBack(deliveries);

    try {
      const reign = state.at === 'active' ? state.reign : await this.begin();
      const isCareful = this.failures > 0 && deliveries.length > 0;
      // What the clock asks for comes first and alone: its failure is not the delivery's.
      if (isCareful) await this.run(reign, []);
      await (isCareful ? this.tryAlone(reign, deliveries[0] as Delivery) : this.run(reign, deliveries));
    } catch (error) {
      await this.stepDown(error as Error, deliveries);
    }
    // Nothing is delivered while a full batch is at work; a turn of the clock alone says nothing about the broker.
    if (deliveries.length > 0) this.heardAt = this.clock.now();
    this.schedule();
  }

  /** Resolves when the turn is committed, or after a failure when it is finished: the delivery that is alone in it may be to blame. */
  private async run(reign: Reign, deliveries: readonly Delivery[]): Promise<void> {
    const { finished } = await within(TURN_MS_MAX, this.clock, reign.turn(deliveries), 'a turn');
    const finishing = within(TURN_MS_MAX, this.clock, finished, 'publishing');
    if (this.failures > 0) return finishing;
    finishing.catch((error: Error) => this.inTurn(() => this.stopUnfinished(reign, error, deliveries)));
  }

  private async tryAlone(reign: Reign, delivery: Delivery): Promise<void> {
    try {
      await this.run(reign, [delivery]);
      this.suspects.passed(delivery);
    } catch (error) {
      const isItsOwn = !(error instanceof SupersededError || error instanceof PublishError);
      if (isItsOwn && this.suspects.failed(delivery)) await this.putAside(delivery, error as Error);
      throw error;
    }
  }

  /** Of several alerts in one message, only those that are to blame are kept back: each comes again by itself. */
  private async putAside(delivery: Delivery, error: Error): Promise<void> {
    const alerts = itemsOf(delivery.body);
    if (alerts.length > 1) {
      await publishApart(alerts, delivery, this.parts.messaging);
      delivery.ack();
      return;
    }

    this.parts.logger.error({ error: error.message }, 'a message that cannot be stored is kept as a dead letter');
    const unreadable = { body: delivery.body, detail: `cannot be stored: ${error.message}` };
    await publishUnreadable([unreadable], this.clock.now(), DISPATCH_QUEUE, this.parts.messaging);
    delivery.ack();
  }

  private async begin(): Promise<Reign> {
    const reign = await within(
      TURN_MS_MAX,
      this.clock,
      Reign.begin(this.parts, this.options, this.holder),
      'becoming active',
    );
    if (this.state.at !== 'standby') throw new Error('the dispatcher was stopped while it became active');
    this.state = { at: 'active', reign };
    this.parts.metrics.set('dispatcher_active', {}, 1);
    this.parts.metrics.set('dispatcher_epoch', {}, reign.epoch);
    return reign;
  }

  /** One turn at a time, in order: deliveries, the clock and a loss never overlap. */
  private inTurn(step: () => Promise<void>): Promise<void> {
    this.turnsUnderWay += 1;
    this.turns = this.turns
      .then(step)
      // Steps handle what they expect; a bug in one must not stop those that follow.
      .catch((error: Error) => this.parts.logger.error({ error: error.stack }, 'a turn failed unexpectedly'))
      .finally(() => {
        this.turnsUnderWay -= 1;
      });
    return this.turns;
  }

  private schedule(): void {
    this.cancelDue();
    if (this.state.at !== 'active') return;

    const dueIn = this.state.reign.nextDueAt() - this.clock.now();
    this.cancelDue = this.clock.after(Math.min(Math.max(0, dueIn), TIMER_MS_MAX), () => {
      void this.inTurn(async () => {
        if (this.state.at === 'active') await this.takeTurn([]);
      });
    });
  }

  /* ---- giving up ---- */

  private async stopReigning(error: Error): Promise<void> {
    if (this.state.at === 'active') await this.stepDown(error, []);
  }

  /** Whoever reigns meanwhile has nothing to do with it. */
  private async stopUnfinished(reign: Reign, error: Error, deliveries: readonly Delivery[]): Promise<void> {
    if (this.state.at === 'active' && this.state.reign !== reign) handBack(deliveries);
    else await this.stepDown(error, deliveries);
  }

  /** The consumer goes first: what is handed back must not come to us again. */
  private async stepDown(error: Error, deliveries: readonly Delivery[]): Promise<void> {
    if (this.state.at === 'stopped' || this.state.at === 'stepping-down') return handBack(deliveries);
    if (this.state.at === 'active') this.state.reign.end();

    const why = error instanceof SupersededError ? 'info' : 'warn';
    this.parts.logger[why]({ error: error.message }, 'this dispatcher is not active now');
    this.parts.metrics.set('dispatcher_active', {}, 0);
    this.state = { at: 'stepping-down' };
    this.cancelDue();
    await this.subscription?.pause();
    handBack(deliveries);
    this.comeBackLater();
  }

  private comeBackLater(): void {
    const delayMs = Math.min(COMEBACK_MS_MIN * 2 ** this.failures, COMEBACK_MS_MAX);
    this.failures += 1;
    this.cancelComeback = this.clock.after(delayMs, () => {
      if (this.state.at !== 'stepping-down') return;
      this.state = { at: 'standby' };
      void this.subscription?.resume();
    });
  }

  /* ---- ticks ---- */

  // A standby promoted by the broker gets no frame until a message arrives; the tick is that message.
  private tick(): void {
    this.cancelTick = this.clock.after(TICK_INTERVAL_MS, () => {
      this.tick();
      this.stopWhenSilent();
      void this.publishTick();
    });
  }

  private async publishTick(): Promise<void> {
    if (this.tickUnderWay) return;
    this.tickUnderWay = true;
    try {
      await this.parts.messaging.publish({
        ...{ exchange: EXCHANGES.alerts.name, routingKey: ALERT_KEY, type: MESSAGE_TYPES.tick },
        ...{ body: '', persistent: false, mandatory: false, expiration: TICK_EXPIRATION_MS },
      });
    } catch {
      // The connection's own events tell of its loss; the next tick follows in a second.
    } finally {
      this.tickUnderWay = false;
    }
  }

  private stopWhenSilent(): void {
    if (this.state.at !== 'active' || this.turnsUnderWay > 0) return;
    if (this.clock.now() - this.heardAt <= SILENCE_MS_MAX) return;
    void this.inTurn(() => this.stopReigning(new Error(`no delivery for ${SILENCE_MS_MAX} ms, not even a tick`)));
  }
}

function handBack(deliveries: readonly Delivery[]): void {
  for (const delivery of deliveries) delivery.handBack();
}

function* inSlices(deliveries: readonly Delivery[]): Generator<Delivery[]> {
  let slice: Delivery[] = [];
  let bytes = 0;
  for (const delivery of deliveries) {
    if (slice.length > 0 && bytes + delivery.body.length > TURN_BYTES_MAX) {
      yield slice;
      slice = [];
      bytes = 0;
    }
    slice.push(delivery);
    bytes += delivery.body.length;
  }
  if (slice.length > 0) yield slice;
}

async function within<Result>(ms: number, clock: Clock, work: Promise<Result>, what: string): Promise<Result> {
  let cancel = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(ms, () => reject(new Error(`${what} took longer than ${ms} ms`)));
  });
  return Promise.race([work, late]).finally(() => cancel());
}
