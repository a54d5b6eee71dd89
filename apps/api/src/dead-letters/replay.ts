import { type DeadLetter, isNotificationChannel } from '#dispatch';
import { ALERT_KEY, EXCHANGES, HEADERS, MESSAGE_TYPES, type OutgoingMessage } from '#messaging';
import type { ApiParts } from '../api-parts.js';
import type { Intake } from '../intake/intake.js';

export type ReplayResult = 'replayed' | 'not-open' | { failed: string };

/** Replays begun by an earlier run that are looked at in one go. */
const UNFINISHED_MAX = 500;
const UNFINISHED_RETRY_MS = 5_000;

/**
 * Sends dead letters again. Between the two database writes stands a confirmed publish; a crash there leaves the letter `replaying`, and the
 * next start publishes it once more: the worker knows the attempt number.
 */
export class Replay {
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(
    private readonly intake: Intake,
    private readonly parts: Pick<ApiParts, 'review' | 'logger' | 'metrics' | 'now'>,
  ) {}

  /** @param by who asked, for the audit */
  async replay(id: string, by: string): Promise<ReplayResult> {
    const begun = await this.parts.review.beginReplay(id, by, this.now());
    return begun ? this.finish(begun.letter, begun.attempt) : 'not-open';
  }

  /** Goes on in the background until every replay that an earlier run left half done is ended. */
  start(): void {
    void this.finishUnfinished().then(
      (isDone) => this.again(!isDone),
      (error: unknown) => {
        this.parts.logger.warn({ err: error }, 'unfinished replays could not be looked at');
        this.again(true);
      },
    );
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  private again(isNeeded: boolean): void {
    if (!isNeeded || this.isClosed) return;
    this.timer = setTimeout(() => this.start(), UNFINISHED_RETRY_MS);
    this.timer.unref();
  }

  private async finishUnfinished(): Promise<boolean> {
    const unfinished = await this.parts.review.unfinishedReplays(UNFINISHED_MAX);
    for (const { letter, attempt } of unfinished) {
      if (this.isClosed) return false;
      const result = await this.finish(letter, attempt);
      this.parts.logger.info({ deadLetter: letter.id, result }, 'finished a replay of an earlier run');
    }
    return unfinished.length < UNFINISHED_MAX;
  }

  private async finish(letter: DeadLetter, attempt: number): Promise<ReplayResult> {
    const [publication] = await this.intake.publishEach([toMessage(letter, attempt)]);
    if (!publication?.stored) {
      await this.parts.review.endReplay(letter.id, 'open', this.now());
      return { failed: publication?.problem.message ?? 'not published' };
    }
    await this.parts.review.endReplay(letter.id, 'replayed', this.now());
    this.parts.metrics.add('dead_letters_replayed_total', { channel: letter.channel ?? 'none' });
    return 'replayed';
  }

  private now(): number {
    return (this.parts.now ?? Date.now)();
  }
}

/** A letter with a notification channel goes there, past those that wait; what could not be parsed goes through the dispatcher again, as it came. */
function toMessage(letter: DeadLetter, attempt: number): OutgoingMessage {
  if (letter.reason === 'unparseable') {
    return { ...destinationOf(letter), body: Buffer.from(letter.payload, 'base64') };
  }
  if (!isNotificationChannel(letter.channel)) {
    throw new Error(`dead letter ${letter.id} has no notification channel but reason '${letter.reason}'`);
  }
  return {
    exchange: EXCHANGES.notifications.name,
    routingKey: letter.channel,
    headers: { [HEADERS.attempt]: attempt, [HEADERS.released]: true },
    ...(letter.notificationId !== undefined && { messageId: letter.notificationId }),
    body: letter.payload,
  };
}

function destinationOf({ channel }: DeadLetter): Pick<OutgoingMessage, 'exchange' | 'routingKey' | 'type' | 'headers'> {
  if (channel === undefined) {
    return { exchange: EXCHANGES.alerts.name, routingKey: ALERT_KEY, type: MESSAGE_TYPES.alerts };
  }
  return { exchange: EXCHANGES.notifications.name, routingKey: channel, headers: { [HEADERS.attempt]: 1 } };
}
