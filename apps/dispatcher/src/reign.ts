import {
  type Alert,
  Decisions,
  Dispatch,
  type DispatchOptions,
  type OutboxMessage,
  type TimelineEntry,
  type WaitingTarget,
} from '#dispatch';
import { ackAll, type Delivery, DISPATCH_QUEUE, HEADERS } from '#messaging';
import { type Clock, type DispatcherParts, SYSTEM_CLOCK } from './dispatcher-parts.js';
import { type Inbox, readDeliveries, type Unreadable } from './inbox.js';
import { emptyOutbox, publishLeftovers, publishOutbox, publishUnreadable, toOutboxMessage } from './outbox.js';
import { SupersededError } from './superseded-error.js';

/** Waiting notifications of one target looked at per release. */
export const WAITING_PER_TARGET_MAX = 300;
/** Group flushes in one transaction; the rest follow in the next. */
export const FLUSHES_PER_TURN_MAX = 500;
const RELEASE_INTERVAL_MS = 1_000;
/** While a release found something: the workers are about as fast. Each look is a transaction: at 25 ms, when SQLite still ran on the thread that sends, 5,000 notifications took twice as long. */
const RELEASE_INTERVAL_BUSY_MS = 200;
const RETENTION_INTERVAL_MS = 10 * 60_000;
/** Short, so that no alert waits behind it. */
const RETENTION_ROWS_MAX = 500;
const RETENTION_INTERVAL_BUSY_MS = 1_000;

/** A turn after its step 3. */
interface Committed {
  deliveries: readonly Delivery[];
  inbox: Inbox;
  due: OutboxMessage[];
  now: number;
  startedAt: number;
}

/**
 * The time for which this process is the active dispatcher, from taking an epoch until anything fails. Owns the alert state; dropped, never repaired.
 *
 *   begin  take the epoch ▸ load ▸ publish what the outbox still holds ▸ commit what loading changed
 *   turn   1 read ▸ 2 decide ▸ 3 commit state, timeline and outbox in one transaction
 *   beside the next turn's 1 to 3, and before its 4: 4 publish the outbox, confirmed ▸ 5 ack
 *   with a later turn's commit, or alone when it has none: 6 empty the outbox
 *
 * Killed between two steps:
 *   before 3   nothing was written or said; the broker delivers again
 *   3 to 4     the outbox holds what was decided; the next reign publishes it before it decides anything; the broker delivers again, and merging the
 *              same posts again is a refresh
 *   4 to 6     published again, with the same id and attempt: the worker sees a copy and drops it; before 5 the broker delivers again, a refresh
 * So: a delivery is acked only when what it means is on disk, and a message is published only when the decision is.
 */
export class Reign {
  private nextReleaseAt: number;
  private nextRetentionAt: number;
  private hasEnded = false;
  /** Steps 4 and 5 of the turn before. */
  private finishing: Promise<void> = Promise.resolve();
  /** Confirmed, and still in the outbox: of two turns at most. */
  private published: OutboxMessage[] = [];

  /** Rejects when the database or the broker does not answer. */
  static async begin(parts: DispatcherParts, options: DispatchOptions, holder: string): Promise<Reign> {
    const { store, messaging, logger } = parts;
    const clock = parts.clock ?? SYSTEM_CLOCK;
    const dispatch = new Dispatch(options);
    const epoch = await store.takeEpoch(holder, clock.now());
    const stored = await store.load();
    const published = await publishLeftovers(epoch, store, messaging);
    const reign = new Reign(parts, clock, dispatch, epoch);
    await reign.publish(await reign.commit(dispatch.load(stored, clock.now())));
    logger.info(
      { epoch, alerts: dispatch.alertCount, groups: dispatch.groupCount, published },
      'this dispatcher is active',
    );
    return reign;
  }

  private constructor(
    private readonly parts: DispatcherParts,
    private readonly clock: Clock,
    private readonly dispatch: Dispatch,
    readonly epoch: number,
  ) {
    this.nextReleaseAt = clock.now();
    this.nextRetentionAt = clock.now() + RETENTION_INTERVAL_MS;
  }

  /** When a turn without deliveries has something to do. */
  nextDueAt(): number {
    return Math.min(this.dispatch.nextDueAt(), this.nextReleaseAt, this.nextRetentionAt);
  }

  /**
   * Carries out what the deliveries and the clock ask for. Resolves when it is committed; what it resolves with tells when it is published and the deliveries
   * are acked. Either rejects with nothing acked: end the reign then.
   */
  async turn(deliveries: readonly Delivery[]): Promise<{ finished: Promise<void> }> {
    const startedAt = performance.now();
    const now = this.clock.now();
    await this.forgetWhenDue(now);
    const waiting = await this.waitingWhenDue(now);
    const { resolveTimeoutMs } = this.parts.settings.configuration;
    const inbox = readDeliveries(deliveries, { now, resolveTimeoutMs });

    const decisions = new Decisions();
    const { refused } = this.dispatch.receive(inbox.alerts, now, decisions);
    this.dispatch.flushDue(now, decisions, FLUSHES_PER_TURN_MAX);
    this.release(waiting, now, decisions);
    if (refused.length > 0) inbox.unreadable.push(this.notTaken(refused));
    const due = await this.commit(decisions);

    await this.finishing;
    this.finishing = this.finish({ deliveries, inbox, due, now, startedAt });
    // Told by the promise that the caller gets, and by the next turn.
    this.finishing.catch(() => {});
    return { finished: this.finishing };
  }

  /** The way out, when no turn runs: waits for the last to be finished, and empties the outbox. @throws SupersededError */
  async finishLast(): Promise<void> {
    await this.finishing;
    await this.emptyOutbox();
  }

  /** A turn that still runs stops at its next step. */
  end(): void {
    this.hasEnded = true;
  }

  private async waitingWhenDue(now: number): Promise<WaitingTarget[]> {
    if (now < this.nextReleaseAt) return [];
    // A notification let go again may have the id of a row that is being published; once it is, the commit takes that row out first.
    await this.finishing;
    return this.parts.store.waitingTargets(now, WAITING_PER_TARGET_MAX);
  }

  private release(waiting: readonly WaitingTarget[], now: number, decisions: Decisions): void {
    if (now < this.nextReleaseAt) return;
    this.dispatch.release(waiting, now, decisions);
    this.nextReleaseAt = now + (decisions.hasReleases ? RELEASE_INTERVAL_BUSY_MS : RELEASE_INTERVAL_MS);
  }

  /** Step 3, and 6 of earlier turns. Answers what is to be published. */
  private async commit(decisions: Decisions): Promise<OutboxMessage[]> {
    if (decisions.isEmpty) {
      await this.emptyOutbox();
      return [];
    }
    const decided = decisions.toChanges();
    const outbox = decided.publications.map(toOutboxMessage);

    this.assertActive();
    const published = this.takePublished().map(({ id }) => id);
    const result = await this.parts.store.commit(this.epoch, { ...decided.changes, outbox, published });
    if (result === 'superseded') throw new SupersededError(`epoch ${this.epoch} is over: another dispatcher is active`);
    this.parts.metrics.add('dispatcher_batches_total', {});
    this.count(decided.changes.timeline);
    return result.due;
  }

  /** Step 6 alone. @throws SupersededError */
  private emptyOutbox(): Promise<void> {
    return emptyOutbox(this.epoch, this.takePublished(), this.parts.store);
  }

  /** To be taken out of the outbox; should that fail, the reign is over and its successor publishes them again. */
  private takePublished(): OutboxMessage[] {
    return this.published.splice(0);
  }

  /** Steps 4 and 5. */
  private async finish({ deliveries, inbox, due, now, startedAt }: Committed): Promise<void> {
    const { messaging, metrics } = this.parts;
    await this.publish(due);
    await publishUnreadable(inbox.unreadable, now, DISPATCH_QUEUE, messaging);
    this.assertActive();
    for (const fence of inbox.fences) this.answer(fence);
    ackAll(deliveries);
    metrics.observe('dispatcher_batch_seconds', {}, (performance.now() - startedAt) / 1_000);
  }

  private async publish(due: readonly OutboxMessage[]): Promise<void> {
    this.assertActive();
    await publishOutbox(due, this.parts.messaging);
    this.published.push(...due);
    for (const { routingKey: channel, headers } of due) {
      const isReleased = headers[HEADERS.released] === true;
      this.parts.metrics.add(isReleased ? 'notifications_released_total' : 'notifications_published_total', {
        channel,
      });
    }
  }

  private notTaken(refused: readonly Alert[]): Unreadable {
    const posts = refused.map(({ labels, annotations, generatorURL }) => ({ labels, annotations, generatorURL }));
    return {
      body: Buffer.from(JSON.stringify(posts)),
      detail: `${this.dispatch.alertCount} alerts are known; more are not taken`,
    };
  }

  private assertActive(): void {
    if (this.hasEnded) throw new SupersededError(`epoch ${this.epoch} was given up`);
  }

  /** All that came before the fence is committed. An asker that gets no answer in time goes on without. */
  private answer(fence: Delivery): void {
    this.parts.messaging.reply(fence, '{}').catch((error: Error) => {
      this.parts.logger.warn({ error: error.message }, 'a fence got no answer');
    });
  }

  private async forgetWhenDue(now: number): Promise<void> {
    if (now < this.nextRetentionAt) return;
    const { store, settings } = this.parts;
    const forgotten = await store.forgetBefore(now - settings.configuration.retentionMs, RETENTION_ROWS_MAX);
    this.nextRetentionAt = now + (forgotten >= RETENTION_ROWS_MAX ? RETENTION_INTERVAL_BUSY_MS : RETENTION_INTERVAL_MS);
  }

  private count(timeline: readonly TimelineEntry[]): void {
    const { metrics } = this.parts;
    metrics.set('dispatcher_alerts', { status: 'known' }, this.dispatch.alertCount);
    metrics.set('dispatcher_groups', {}, this.dispatch.groupCount);
    for (const { kind, detail } of timeline) {
      if (kind === 'suppressed') metrics.add('dispatcher_suppressed_total', { reason: String(detail['reason']) });
    }
  }
}
