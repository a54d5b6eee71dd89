import assert from 'node:assert';
import type { DeadLetter } from '#dispatch';
import { ALERT_KEY, EXCHANGES, HEADERS, MESSAGE_TYPES, type OutgoingMessage } from '#messaging';
import { parsePostedAlert } from '../alerts/posted-alert.js';
import type { ApiParts } from '../api-parts.js';
import { parseJson } from '../body/json-body.js';
import type { Intake } from '../intake/intake.js';
import { Problem } from '../problem/problem.js';

export type ReplayResult =
  | { result: 'replayed' }
  /** Sent, but the connection went before the confirm, or the database before the end was noted: published once more until both are done. */
  | { result: 'replaying' }
  | { result: 'not-open' }
  /** It would fail again the same way: what could not be parsed still cannot. It stays open. */
  | { result: 'unprocessable'; detail: string }
  /** The broker did not take it. It stays open. */
  | { result: 'not-published'; detail: string };

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
    private readonly parts: Pick<ApiParts, 'review' | 'settings' | 'logger' | 'metrics' | 'now'>,
  ) {}

  /** @param by who asked, for the audit */
  async replay(id: string, by: string): Promise<ReplayResult> {
    const letter = await this.parts.review.findDeadLetter(id);
    const detail = letter && this.whyUnprocessable(letter);
    if (detail !== undefined) return { result: 'unprocessable', detail };

    const begun = await this.parts.review.beginReplay(id, by, this.now());
    return begun ? this.finish(begun.letter, begun.attempt) : { result: 'not-open' };
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
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.start(), UNFINISHED_RETRY_MS);
    this.timer.unref();
  }

  private async finishUnfinished(): Promise<boolean> {
    const unfinished = await this.parts.review.unfinishedReplays(UNFINISHED_MAX);
    let areEnded = true;
    for (const { letter, attempt } of unfinished) {
      if (this.isClosed) return false;
      const { result } = await this.finish(letter, attempt);
      this.parts.logger.info({ deadLetter: letter.id, result }, 'published a replay once more');
      areEnded &&= result !== 'replaying';
    }
    return areEnded && unfinished.length < UNFINISHED_MAX;
  }

  private async finish(letter: DeadLetter, attempt: number): Promise<ReplayResult> {
    const [publication] = await this.intake.publishEach([toMessage(letter, attempt)]);
    assert(publication, 'one message has one publication');
    const isDoubtful = !publication.stored && publication.isDoubtful;
    const isEnded = !isDoubtful && (await this.end(letter, publication.stored ? 'replayed' : 'open'));
    if (!isEnded) {
      this.again(true);
      return { result: 'replaying' };
    }
    if (!publication.stored) return { result: 'not-published', detail: publication.problem.message };
    this.parts.metrics.add('dead_letters_replayed_total', { channel: letter.channel ?? 'none' });
    return { result: 'replayed' };
  }

  private async end({ id }: DeadLetter, result: 'replayed' | 'open'): Promise<boolean> {
    try {
      await this.parts.review.endReplay(id, result, this.now());
      return true;
    } catch (error) {
      this.parts.logger.warn({ err: error, deadLetter: id, result }, 'the end of a replay could not be noted');
      return false;
    }
  }

  /** A raw body is published only when it can be parsed by now: the dispatcher would make the same dead letter of it. */
  private whyUnprocessable(letter: DeadLetter): string | undefined {
    if (!isRaw(letter)) return undefined;
    try {
      const { resolveTimeoutMs } = this.parts.settings.configuration;
      const options = { now: this.now(), resolveTimeoutMs, unknownFields: 'ignored' as const };
      for (const [index, item] of [parseJson(rawBody(letter))].flat().entries()) {
        const parsed = parsePostedAlert(item, options);
        if (!parsed.ok)
          return `item ${index}: ${parsed.problems.map(({ field, message }) => `${field} ${message}`.trim()).join(', ')}`;
      }
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return error.message;
      throw error;
    }
  }

  private now(): number {
    return (this.parts.now ?? Date.now)();
  }
}

/** What could not be parsed has no notification channel, and is kept byte for byte. */
export function isRaw({ channel }: DeadLetter): boolean {
  return channel === undefined;
}

function rawBody({ payload }: DeadLetter): Buffer {
  return Buffer.from(payload, 'base64');
}

/** A notification goes to its channel, past those that wait; a raw body goes through the dispatcher again. */
function toMessage(letter: DeadLetter, attempt: number): OutgoingMessage {
  if (letter.channel === undefined) {
    return {
      exchange: EXCHANGES.alerts.name,
      routingKey: ALERT_KEY,
      type: MESSAGE_TYPES.alerts,
      body: rawBody(letter),
    };
  }
  return {
    exchange: EXCHANGES.notifications.name,
    routingKey: letter.channel,
    headers: { [HEADERS.attempt]: attempt, [HEADERS.released]: true },
    ...(letter.notificationId !== undefined && { messageId: letter.notificationId }),
    body: letter.payload,
  };
}
