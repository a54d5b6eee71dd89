import type { Budget } from './budget.js';
import type { Envelope } from './notification.js';
import type { NotificationChannel } from './notification-channel.js';
import type { Outcome } from './outcome.js';

export interface TargetProblem {
  /** Field path inside the target, e.g. `to`. */
  field: string;
  message: string;
}

/** What is known of a notification channel's targets without any account: exists for every built-in channel. */
export interface TargetKind {
  readonly channel: NotificationChannel;
  /** Fields sealed before a target leaves the process. */
  readonly secretFields: readonly string[];
  /** Checks a target as written in `receivers` or in `POST /api/v1/notifications` (without `channel`). */
  parse(input: unknown): { ok: true; target: Record<string, unknown> } | { ok: false; problems: TargetProblem[] };
  /** Stable, secret-free name of the target: equal targets have equal keys. At most 120 characters. */
  key(target: Record<string, unknown>): string;
  /** Rate budgets that one send to this target spends, as the provider limits it. Empty: unlimited. */
  budgets(target: Record<string, unknown>): Budget[];
  /** Sends to one target that may be under way at once, over all workers. */
  readonly perTargetInFlight: number;
  /** Largest digest this channel can carry, in UTF-8 bytes of its member lines; 0: this channel is never digested. */
  readonly digestBytesMax: number;
  /** A claim without an outcome is found: send again, marked as a possible repeat (`resend`), or give up (`give-up`). */
  readonly afterUnknown: 'resend' | 'give-up';
}

export interface SendRequest {
  envelope: Envelope;
  /** The target with its secrets opened. */
  target: Record<string, unknown>;
  attempt: number;
  /** True when an earlier attempt may have reached the person. */
  mayRepeat: boolean;
}

/** A configured way of notifying: renders and sends. */
export interface Sender {
  readonly channel: NotificationChannel;
  send(request: SendRequest, signal: AbortSignal): Promise<Outcome>;
  close(): Promise<void>;
}
