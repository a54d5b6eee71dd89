import type { Alert } from './alert.js';
import type { Budget } from './budget.js';
import type { Envelope, NotificationStatus } from './notification.js';
import type { NotificationChannel } from './notification-channel.js';
import type { DeadReason, Outcome } from './outcome.js';
import type { Severity } from './severity.js';

// What the domain asks of a database. `#persistence` implements these ports; instants are milliseconds since the epoch.

/* ---- dispatcher ---- */

export interface StoredGroup {
  /** Alertmanager's form: `{route}:{labels}`. */
  key: string;
  receiver: string;
  groupLabels: Record<string, string>;
  fingerprints: string[];
  nextFlushAt: number;
  /** Part of each notification's id; see `firstFlushNumber`. Fits 32 bits. */
  flushNumber: number;
}

/** What one target of one group was told last. */
export interface StoredLogEntry {
  /** groupKey + receiver + targetKey. */
  key: string;
  groupKey: string;
  firing: string[];
  resolved: string[];
  notifiedAt: number;
}

export interface TimelineEntry {
  at: number;
  fingerprint?: string;
  notificationId?: string;
  /** received, merged, grouped, suppressed, notified, waiting, released, digested, attempted, sent, retrying, dead, replayed, discarded ... */
  kind: string;
  detail: Record<string, unknown>;
}

export interface NewNotification {
  envelope: Envelope;
  groupKey?: string;
  receiver?: string;
  fingerprints: string[];
}

/** A message to publish once its transaction is committed. */
export interface OutboxMessage {
  /** Notification id and attempt: `<id>/<attempt>`. Unique. */
  id: string;
  exchange: string;
  routingKey: string;
  headers: Record<string, unknown>;
  body: string;
}

/** Everything one batch changes: written in one transaction, or not at all. */
export interface DispatchChanges {
  alerts: Alert[];
  alertsForgotten: string[];
  groups: StoredGroup[];
  groupsForgotten: string[];
  log: StoredLogEntry[];
  logForgotten: string[];
  notifications: NewNotification[];
  timeline: TimelineEntry[];
  outbox: OutboxMessage[];
  /** Outbox rows, by id, that were published since: they leave before the new ones come. */
  published: string[];
  /** Waiting notifications let go: status becomes queued. */
  released: string[];
  /** Waiting notifications taken into a digest: `via` becomes the digest's id, status stays waiting until the digest settles. */
  digested: { id: string; digestId: string }[];
}

export interface StoredDispatch {
  alerts: Alert[];
  groups: StoredGroup[];
  log: StoredLogEntry[];
}

/** A notification in the waiting room, as the release needs it. */
export interface WaitingNotification {
  id: string;
  channel: NotificationChannel;
  targetKey: string;
  severity: Severity;
  waitingSince: number;
  /** Not released before (a provider penalty); 0 when only the budget holds it. */
  waitingUntil: number;
  nextAttempt: number;
  envelope: Envelope;
}

/** One target with waiting notifications, its budgets as they stand and its sends under way. */
export interface WaitingTarget {
  targetKey: string;
  channel: NotificationChannel;
  budgets: { name: string; windowMs: number; limit: number; left: number; blockedUntil: number }[];
  inFlight: number;
  /** Total waiting, of which `waiting` holds at most the limit asked for, critical first, oldest next. */
  total: number;
  waiting: WaitingNotification[];
}

export interface DispatcherStore {
  /** Makes the caller the active dispatcher; the answer fences every earlier one. */
  takeEpoch(holder: string, now: number): Promise<number>;
  load(): Promise<StoredDispatch>;
  /**
   * Answers the messages that are due, now in the outbox. Not those of notifications that exist already, nor of releases and digests of what no longer
   * waits: a worker was quicker. `superseded`: another dispatcher took a later epoch and nothing was written.
   */
  commit(epoch: number, changes: DispatchChanges): Promise<{ due: OutboxMessage[] } | 'superseded'>;
  unpublished(limit: number): Promise<OutboxMessage[]>;
  /** Published rows leave the outbox, when no commit follows that could take them along. `superseded`: they stay, for the outbox is the successor's, and a row of that id may be a new one. */
  markPublished(epoch: number, ids: readonly string[]): Promise<'marked' | 'superseded'>;
  waitingTargets(now: number, perTargetMax: number): Promise<WaitingTarget[]>;
  /** Drops what is older than the retention: finished notifications with attempts, timeline, settled dead letters. */
  forgetBefore(instant: number, rowsMax: number): Promise<number>;
}

/* ---- worker ---- */

export interface ClaimRequest {
  envelope: Envelope;
  attempt: number;
  /** The delivery was handed out before: its first holder died or lost its connection. */
  redelivered: boolean;
  /** Let go by the waiting room: may pass those still waiting. */
  released: boolean;
  budgets: Budget[];
  perTargetInFlight: number;
  /** Names this run of this process; an attempt claimed by another run may be dead. */
  claimedBy: string;
}

export type ClaimAnswer =
  /**
   * Send now. `mayRepeat`: the person may have been told, for an earlier attempt had no answer or, `isResumed`, this very attempt was claimed before and
   * has no outcome. `failures`: attempts that failed (`isFailure`) since the notification was new or last replayed.
   */
  | { claim: 'granted'; mayRepeat: boolean; isResumed: boolean; failures: number }
  /** The row waits in the waiting room; ack the delivery. */
  | { claim: 'waiting' }
  /** This attempt, or the whole notification, has its outcome; ack unsent and count. `followUp` names what may still have to be published. */
  | { claim: 'settled'; followUp: FollowUp }
  /** Another live run holds this attempt; look again later with the same attempt number. */
  | { claim: 'busy' };

/** What follows an attempt, stored with its outcome, so that a copy found after a crash can finish the work. */
export type FollowUp =
  | { next: 'none' }
  | { next: 'retry'; attempt: number; delayMs: number }
  | { next: 'dead'; reason: DeadReason }
  | { next: 'wait'; attempt: number; until: number };

export interface Settlement {
  id: string;
  attempt: number;
  /** When the attempt ended. */
  at: number;
  durationMs: number;
  outcome: Outcome;
  followUp: FollowUp;
  /** A budget the provider has closed. */
  blocks?: { budget: string; until: number }[];
  /** Set when nothing was sent on purpose: the notification's status becomes suppressed, whatever the outcome says. */
  suppressed?: 'expired';
}

export interface WorkerStore {
  /** One transaction for the batch; answers in the same order. Creates the notification's row when a direct notification is seen for the first time. */
  claim(requests: readonly ClaimRequest[], now: number): Promise<ClaimAnswer[]>;
  /** One transaction for the batch. A digest's settlement settles what it covers. */
  settle(settlements: readonly Settlement[]): Promise<void>;
}

/* ---- dead letters and reads ---- */

export type DeadLetterStatus = 'open' | 'replaying' | 'replayed' | 'discarded';

export interface NewDeadLetter {
  /** Notification id and last attempt, or a hash of the raw body. */
  id: string;
  notificationId?: string;
  channel?: NotificationChannel;
  targetKey?: string;
  reason: DeadReason;
  attempts: number;
  failedAt: number;
  /** The message as it was: the envelope, or the raw body (base64) that could not be parsed. */
  payload: string;
  detail: string;
}

export interface DeadLetter extends NewDeadLetter {
  status: DeadLetterStatus;
  target: Record<string, unknown> | undefined;
  resolvedAt: number | undefined;
}

export interface DeadLetterQuery {
  channel?: string;
  reason?: string;
  /** Substring of target key, detail or payload. */
  q?: string;
  /** Default: open. */
  status?: DeadLetterStatus;
  cursor?: string;
  limit: number;
}

export interface AttemptView {
  number: number;
  at: number;
  outcome: string | undefined;
  reason: string | undefined;
  providerCode: string | undefined;
  providerMessage: string | undefined;
  durationMs: number | undefined;
  /** True when the person may have been told before. */
  mayRepeat: boolean;
}

export interface NotificationView {
  id: string;
  channel: string;
  status: NotificationStatus;
  reason: string | undefined;
  /** The digest that told it. */
  via: string | undefined;
  receiver: string | undefined;
  groupKey: string | undefined;
  createdAt: number;
  attempts: AttemptView[];
}

export interface ReviewStore {
  findNotification(id: string): Promise<NotificationView | undefined>;
  alertTimeline(fingerprint: string, limit: number): Promise<TimelineEntry[]>;
  /** Alerts that fire (`hasEnded` is false), by fingerprint order; the stored end of one that is refreshed may be past. */
  alerts(limit: number): Promise<Alert[]>;

  /** Storing one again changes nothing; a raw body that failed again (later `failedAt`) after its letter was replayed or discarded is open again. */
  addDeadLetters(letters: readonly NewDeadLetter[]): Promise<void>;
  deadLetters(query: DeadLetterQuery): Promise<{ items: DeadLetter[]; nextCursor: string | undefined }>;
  findDeadLetter(id: string): Promise<DeadLetter | undefined>;
  /** Moves open to replaying, names the attempt to publish and begins the retry ladder anew; `undefined` when it is not open. Audited. */
  beginReplay(id: string, by: string, now: number): Promise<{ letter: DeadLetter; attempt: number } | undefined>;
  endReplay(id: string, result: 'replayed' | 'open', now: number): Promise<void>;
  /** Replays begun and not ended (a crash between): to be published again. */
  unfinishedReplays(limit: number): Promise<{ letter: DeadLetter; attempt: number }[]>;
  discard(id: string, by: string, now: number): Promise<boolean>;
}
