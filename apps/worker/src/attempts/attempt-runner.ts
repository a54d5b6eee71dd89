import {
  type ClaimAnswer,
  type ClaimRequest,
  type FollowUp,
  followUpOf,
  type NotificationChannel,
  type Outcome,
  RETRY_LADDER,
  type Sender,
  type Settlement,
  type TargetKind,
  type WorkerStore,
} from '#dispatch';
import type { Delivery, MessagingLogger, OutgoingMessage, PublishResult } from '#messaging';
import { notifyQueue } from '#messaging';
import type { Metrics } from '#telemetry';
import type { DatabaseWatch } from '../database-watch.js';
import { InFlight } from './in-flight.js';
import { deadMessage, levelFor, retryMessage, unreadableMessage } from './messages.js';
import { NotSettledError, Settlements } from './settlements.js';
import { parseDelivery, type TakenAttempt } from './taken-attempt.js';
import { tell } from './tell.js';

// One attempt, step by step, and what a kill -9 behind each step leads to. The delivery stays unsettled until the last
// step, so the broker delivers it again; the claim and the outcome in the database say how far it came.
//
//   take      nothing was done                      delivered again, done then
//   claim     claimed, no outcome                   granted again, mayRepeat: told (marked) or given up, as the channel says
//   send      perhaps told, no outcome              the same; the person may be told twice, and the repeat is marked
//   settle    outcome and follow-up stored          claim answers settled: the follow-up is published, nothing is sent
//   publish   retry or dead letter is in its queue  claim answers settled: published a second time; the copy has the same
//                                                   attempt number (or dead letter id) and is dropped when it is claimed
//   ack       nothing is left to do
//
// An outcome that says "wait" is published by nobody: its row is in the waiting room, and the dispatcher releases it.

/** Tries to claim a single attempt that the database refuses while it answers; then it becomes a dead letter. */
const CLAIM_REFUSALS_MAX = 3;
const PUBLISH_PAUSE_MS_MIN = 100;
const PUBLISH_PAUSE_MS_MAX = 5_000;
/** A delivery that met a bug goes back after this pause, so that it does not spin. */
const BUG_PAUSE_MS = 1_000;
/** The rung for an attempt that another worker holds. */
const BUSY_DELAY_MS = RETRY_LADDER[0].delayMs;
const SENDER_TIMEOUT_MS = 15_000;

type Granted = Extract<ClaimAnswer, { claim: 'granted' }>;

export interface AttemptRunnerOptions {
  store: WorkerStore;
  database: DatabaseWatch;
  publish(message: OutgoingMessage): Promise<PublishResult>;
  senders: ReadonlyMap<NotificationChannel, Sender>;
  targetKinds: ReadonlyMap<NotificationChannel, TargetKind>;
  /** Each sender's own time limit; 15 s where it names none. */
  timeoutMs(channel: NotificationChannel): number | undefined;
  secretKey: Uint8Array;
  /** Names this run of this process. */
  claimedBy: string;
  logger: MessagingLogger;
  metrics: Pick<Metrics, 'add' | 'observe'>;
}

/** Takes deliveries and brings each attempt to its end. Owns what is in flight; stopped by the worker. */
export class AttemptRunner {
  private readonly inFlight = new InFlight();
  private readonly settlements: Settlements;
  private readonly shutdown = new AbortController();
  private isEnding = false;

  constructor(private readonly options: AttemptRunnerOptions) {
    this.settlements = new Settlements(options.store, options.database);
  }

  /** Resolves when the batch is claimed; sending goes on by itself. Never rejects. */
  async take(channel: NotificationChannel, deliveries: readonly Delivery[]): Promise<void> {
    const taken: TakenAttempt[] = [];
    for (const delivery of deliveries) {
      const parsed = parseDelivery(delivery, channel, this.options.targetKinds, this.options.secretKey);
      if (!parsed.ok) void this.giveUpUnread(delivery, channel, parsed.problem);
      else if (this.inFlight.add(parsed.taken.key, delivery) === 'added') taken.push(parsed.taken);
      else this.options.metrics.add('copies_dropped_total', { channel });
    }
    for (const { attempt, answer } of await this.claim(taken)) void this.proceed(attempt, answer);
  }

  /** Ends sends under way: at the latest here a sender learns that time is up. */
  abortSends(): void {
    this.shutdown.abort(new Error('shutting down'));
  }

  /** Resolves when nothing is in flight. */
  whenIdle(): Promise<void> {
    return this.inFlight.whenIdle();
  }

  /** Outcomes not stored by then, and follow-ups not published, are left to the redelivery. */
  hurry(instant: number): void {
    this.settlements.hurry(instant);
    this.isEnding = true;
  }

  handBackAll(): void {
    this.inFlight.handBackAll();
  }

  private async claim(taken: TakenAttempt[]): Promise<{ attempt: TakenAttempt; answer: ClaimAnswer }[]> {
    if (taken.length === 0) return [];
    try {
      const answers = await this.options.store.claim(
        taken.map((attempt) => this.requestFor(attempt)),
        Date.now(),
      );
      return taken.map((attempt, index) => ({ attempt, answer: answers[index] as ClaimAnswer }));
    } catch (error) {
      if ((await this.options.database.explain(error)) === 'answers') return this.claimOneByOne(taken);

      for (const { key } of taken) this.inFlight.handBack(key);
      return [];
    }
  }

  /** One of the batch may be at fault: the others must not suffer for it. */
  private async claimOneByOne(taken: TakenAttempt[]): Promise<{ attempt: TakenAttempt; answer: ClaimAnswer }[]> {
    const claimed: { attempt: TakenAttempt; answer: ClaimAnswer }[] = [];
    for (const attempt of taken) {
      const result = await this.claimSingle(attempt);
      if (result.is === 'claimed') claimed.push({ attempt, answer: result.answer });
      else if (result.is === 'away') this.inFlight.handBack(attempt.key);
      else void this.giveUpUnstored(attempt, `the database refused it: ${result.error.message}`);
    }
    return claimed;
  }

  private async claimSingle(
    attempt: TakenAttempt,
  ): Promise<{ is: 'claimed'; answer: ClaimAnswer } | { is: 'away' } | { is: 'refused'; error: Error }> {
    for (let tries = 1; ; tries += 1) {
      try {
        const [answer] = await this.options.store.claim([this.requestFor(attempt)], Date.now());
        return { is: 'claimed', answer: answer as ClaimAnswer };
      } catch (error) {
        if ((await this.options.database.explain(error)) === 'away') return { is: 'away' };
        if (tries >= CLAIM_REFUSALS_MAX) return { is: 'refused', error: error as Error };
        await pause(PUBLISH_PAUSE_MS_MIN * tries);
      }
    }
  }

  private requestFor({ envelope, attempt, kind, opened, redelivered, released }: TakenAttempt): ClaimRequest {
    return {
      envelope,
      attempt,
      redelivered,
      released,
      budgets: opened.ok ? opened.budgets : [],
      perTargetInFlight: kind.perTargetInFlight,
      claimedBy: this.options.claimedBy,
    };
  }

  private async proceed(taken: TakenAttempt, answer: ClaimAnswer): Promise<void> {
    try {
      await this.follow(taken, answer);
    } catch (error) {
      const { key } = taken;
      this.options.logger.error(
        { attempt: key, error: (error as Error).stack },
        'an attempt failed and is handed back',
      );
      if (!(error instanceof NotSettledError)) await pause(BUG_PAUSE_MS);
      this.inFlight.handBack(key);
    }
  }

  private async follow(taken: TakenAttempt, answer: ClaimAnswer): Promise<void> {
    const { metrics } = this.options;
    const { channel } = taken.envelope;
    switch (answer.claim) {
      case 'granted':
        return this.perform(taken, answer);
      case 'waiting':
        // The row waits, not the delivery: the waiting room lets it go when its budget allows.
        metrics.add('attempts_waiting_total', { channel });
        return this.inFlight.ack(taken.key);
      case 'settled':
        metrics.add('copies_dropped_total', { channel });
        return this.finish(taken, answer.followUp, 'its last worker ended before it was published; see the attempts');
      case 'busy':
        // Its holder may be alive or dead; asked again later, the claim knows.
        return this.publishThenAck(taken, retryMessage(taken, taken.attempt, BUSY_DELAY_MS));
      default:
        return unreachable(answer);
    }
  }

  private async perform(taken: TakenAttempt, granted: Granted): Promise<void> {
    const startedAt = Date.now();
    if (isExpired(taken, startedAt)) return this.suppress(taken, startedAt);

    const outcome = await this.send(taken, granted);
    const now = Date.now();
    const { attempt, kind } = taken;
    const { failures } = granted;
    const followUp = followUpOf({ outcome, attempt, failures, afterUnknown: kind.afterUnknown, now });
    this.count(taken, outcome, now - startedAt, now);
    const isSettled = await this.settle(taken, {
      id: taken.envelope.id,
      attempt,
      at: now,
      durationMs: now - startedAt,
      outcome,
      followUp,
      blocks: outcome.outcome === 'rate-limited' ? blocksOf(taken, now + outcome.blockedForMs) : undefined,
    });
    if (isSettled) await this.finish(taken, followUp, detailOf(outcome));
  }

  private async send(taken: TakenAttempt, { mayRepeat, isResumed }: Granted): Promise<Outcome> {
    const { channel } = taken.envelope;
    const { senders, metrics, timeoutMs } = this.options;
    if (mayRepeat) metrics.add('attempts_repeated_total', { channel });
    const outcome = await tell(taken, {
      sender: senders.get(channel),
      mayRepeat,
      isResumed,
      timeoutMs: timeoutMs(channel) ?? SENDER_TIMEOUT_MS,
      shutdown: this.shutdown.signal,
    });
    return storable(outcome);
  }

  /** Nobody wants to be told any more. */
  private async suppress(taken: TakenAttempt, at: number): Promise<void> {
    const { expiresAt, id } = taken.envelope;
    const isSettled = await this.settle(taken, {
      id,
      attempt: taken.attempt,
      at,
      durationMs: 0,
      outcome: { outcome: 'permanent', reason: 'refused', providerMessage: `not sent: it expired at ${expiresAt}` },
      followUp: { next: 'none' },
      suppressed: 'expired',
    });
    if (isSettled) this.inFlight.ack(taken.key);
  }

  private async settle(taken: TakenAttempt, settlement: Settlement): Promise<boolean> {
    try {
      await this.settlements.settle(settlement);
      return true;
    } catch (error) {
      if (!(error instanceof NotSettledError) || error.why === 'away') throw error;
      // Handed back, it would be sent again and refused again without end.
      await this.giveUpUnstored(taken, `attempt ended as '${settlement.outcome.outcome}', but ${error.message}`);
      return false;
    }
  }

  private async finish(taken: TakenAttempt, followUp: FollowUp, detail: string): Promise<void> {
    const { channel } = taken.envelope;
    const { metrics } = this.options;
    switch (followUp.next) {
      case 'none':
      case 'wait':
        return this.inFlight.ack(taken.key);
      case 'retry':
        metrics.add('retries_total', { channel, level: levelFor(followUp.delayMs) });
        return this.publishThenAck(taken, retryMessage(taken, followUp.attempt, followUp.delayMs));
      case 'dead':
        metrics.add('dead_letters_total', { channel, reason: followUp.reason });
        return this.publishThenAck(taken, deadMessage(taken, followUp.reason, detail, Date.now()));
      default:
        return unreachable(followUp);
    }
  }

  private async publishThenAck(taken: TakenAttempt, message: OutgoingMessage): Promise<void> {
    const { key } = taken;
    const isConfirmed = await this.publishUntilConfirmed(message, () => this.inFlight.isLost(key));
    if (isConfirmed) this.inFlight.ack(key);
    else this.inFlight.handBack(key);
  }

  /** A body that is no notification goes to review as it came. */
  private async giveUpUnread(delivery: Delivery, channel: NotificationChannel, problem: string): Promise<void> {
    this.options.metrics.add('dead_letters_total', { channel, reason: 'unparseable' });
    const message = unreadableMessage(delivery.body, notifyQueue(channel), problem, Date.now());
    if (await this.publishUntilConfirmed(message, () => delivery.isLost)) delivery.ack();
    else delivery.handBack();
  }

  private async giveUpUnstored(taken: TakenAttempt, problem: string): Promise<void> {
    const { channel } = taken.envelope;
    this.options.metrics.add('dead_letters_total', { channel, reason: 'unparseable' });
    await this.publishThenAck(taken, unreadableMessage(taken.body, notifyQueue(channel), problem, Date.now()));
  }

  /**
   * Keeps trying while the delivery is ours: handed back instead, it would come again at once and meet the same closed
   * door. False when the delivery was lost or the process ends: the redelivery publishes it.
   */
  private async publishUntilConfirmed(message: OutgoingMessage, isLost: () => boolean): Promise<boolean> {
    const { publish, logger } = this.options;
    for (let pauseMs = PUBLISH_PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, PUBLISH_PAUSE_MS_MAX)) {
      const problem = await publish(message).then(
        (result) => (result === 'confirmed' ? undefined : `no queue for it at exchange '${message.exchange}'`),
        (error: Error) => error.message,
      );
      if (problem === undefined) return true;
      if (isLost() || this.isEnding) return false;

      logger.warn({ messageId: message.messageId, exchange: message.exchange, problem }, 'not published; trying again');
      await pause(pauseMs);
    }
  }

  private count({ envelope }: TakenAttempt, outcome: Outcome, durationMs: number, now: number): void {
    const { metrics } = this.options;
    const { channel, createdAt } = envelope;
    metrics.add('attempts_total', { channel, outcome: outcome.outcome });
    metrics.observe('attempt_seconds', { channel }, durationMs / 1_000);
    if (outcome.outcome === 'accepted') {
      metrics.observe('notification_seconds', { channel }, (now - Date.parse(createdAt)) / 1_000);
    }
  }
}

function isExpired({ envelope }: TakenAttempt, now: number): boolean {
  return envelope.expiresAt !== undefined && Date.parse(envelope.expiresAt) <= now;
}

function blocksOf({ opened }: TakenAttempt, until: number): { budget: string; until: number }[] {
  return opened.ok ? opened.budgets.map(({ name }) => ({ budget: name, until })) : [];
}

function detailOf({ providerCode, providerMessage }: Outcome): string {
  return [providerCode, providerMessage].filter((part) => part !== undefined && part !== '').join(' ');
}

/** PostgreSQL stores no NUL in text, and a provider may answer anything. */
function storable(outcome: Outcome): Outcome {
  const { providerCode, providerMessage } = outcome;
  return {
    ...outcome,
    providerCode: providerCode?.replaceAll('\0', ''),
    providerMessage: providerMessage?.replaceAll('\0', ''),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function unreachable(value: never): never {
  throw new Error(`not handled: ${JSON.stringify(value)}`);
}
