import { type Outcome, type Sender, TimeLimit } from '#dispatch';
import type { TakenAttempt } from './taken-attempt.js';

/** What a sender gets beyond its own time limit before its attempt counts as unanswered. */
const SENDER_GRACE_MS = 5_000;
/** No send is under way longer, whatever is configured: an older claim without an outcome counts as abandoned after 60 s. */
const SEND_MS_MAX = 45_000;
/** Once aborted, a sender has this long to say how far it came. */
const ABORT_GRACE_MS = 500;

export interface TellOptions {
  sender: Sender | undefined;
  mayRepeat: boolean;
  /** This very attempt was begun before, and has no outcome. */
  isResumed: boolean;
  /** The sender's own limit. */
  timeoutMs: number;
  shutdown: AbortSignal;
}

/** One try at telling the person. Never throws: what a sender throws is a bug, and an attempt without an answer. */
export async function tell(taken: TakenAttempt, options: TellOptions): Promise<Outcome> {
  const { sender, mayRepeat, isResumed, timeoutMs, shutdown } = options;
  const { envelope, attempt, kind, opened } = taken;
  if (!opened.ok) return misconfigured(opened.problem);
  if (!sender) return misconfigured(`no sender for '${envelope.channel}' in tocsin.yaml`);
  // Not for `mayRepeat` alone: who replays a dead letter that had no answer wants it told, marked.
  if (isResumed && kind.afterUnknown === 'give-up') {
    return unanswered('an earlier worker began this attempt and ended before it recorded an answer');
  }
  if (shutdown.aborted) return { outcome: 'retryable', reason: 'aborted', providerMessage: 'not begun: shutting down' };

  const limit = new TimeLimit(shutdown, Math.min(timeoutMs + SENDER_GRACE_MS, SEND_MS_MAX));
  try {
    const sending = sender.send({ envelope, target: opened.target, attempt, mayRepeat }, limit.signal);
    return await Promise.race([sending, silence(limit.signal)]);
  } catch (error) {
    return unanswered(`the sender failed: ${(error as Error).message}`);
  } finally {
    limit.release();
  }
}

/** Resolves a moment after the abort, for a sender that does not heed it. */
function silence(signal: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    const late = () =>
      setTimeout(() => resolve(unanswered('the sender gave no answer in time')), ABORT_GRACE_MS).unref();
    signal.addEventListener('abort', late, { once: true });
  });
}

function misconfigured(providerMessage: string): Outcome {
  return { outcome: 'configuration', reason: 'configuration', providerMessage };
}

function unanswered(providerMessage: string): Outcome {
  return { outcome: 'unknown', reason: 'no-answer', providerMessage };
}
