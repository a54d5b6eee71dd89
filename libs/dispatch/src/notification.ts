import type { NotificationChannel } from './notification-channel.js';
import type { Severity } from './severity.js';

export type NotificationStatus = 'queued' | 'waiting' | 'sending' | 'retrying' | 'sent' | 'dead' | 'suppressed';

/** A target with its secret fields sealed (`sealed:v1:...`), so that no log, queue, row or page shows them. */
export type SealedTarget = Record<string, unknown>;

/** What travels on exchange `notifications`: data, never rendered text. The worker renders when it sends. */
export interface Envelope {
  version: 1;
  id: string;
  channel: NotificationChannel;
  target: SealedTarget;
  /** Stable, secret-free name of the target, e.g. `dingtalk:3f2a...`. */
  targetKey: string;
  severity: Severity;
  /** RFC 3339. */
  createdAt: string;
  /** Not sent after this instant. */
  expiresAt?: string;
  content: Content;
}

export type Content = TextContent | GroupContent | DigestContent;

/** From `POST /api/v1/notifications`. */
export interface TextContent {
  kind: 'text';
  subject?: string;
  text: string;
}

/** From a group's flush. */
export interface GroupContent {
  kind: 'group';
  /** `resolved` only when every alert is. */
  status: 'firing' | 'resolved';
  reason: GroupReason;
  receiver: string;
  groupKey: string;
  groupLabels: Record<string, string>;
  commonLabels: Record<string, string>;
  commonAnnotations: Record<string, string>;
  alerts: AlertView[];
}

/** Alertmanager's `notification_reason`, in our spelling. */
export type GroupReason = 'first-notification' | 'new-alerts' | 'some-resolved' | 'all-resolved' | 'repeat-interval';

export interface AlertView {
  status: 'firing' | 'resolved';
  fingerprint: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** RFC 3339. */
  startsAt: string;
  endsAt?: string;
  generatorURL: string;
}

/** Several waiting notifications of one target told in one message. When it is sent, all it covers are sent. */
export interface DigestContent {
  kind: 'digest';
  covers: DigestMember[];
}

export interface DigestMember {
  id: string;
  severity: Severity;
  /** One line that names it, cut to `DIGEST_TITLE_CHARACTERS_MAX`. */
  title: string;
}

export const DIGEST_TITLE_CHARACTERS_MAX = 120;
