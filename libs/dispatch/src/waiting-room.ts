import { DIGEST_TITLE_CHARACTERS_MAX, type DigestMember, type Envelope } from './notification.js';
import type { NotificationChannel } from './notification-channel.js';
import type { WaitingNotification, WaitingTarget } from './ports.js';
import type { TargetKind } from './sender.js';
import { urgency } from './severity.js';

export interface ReleasePlan {
  /** Let go, in this order. */
  release: WaitingNotification[];
  /** Each becomes one notification that names all its members: at least two, none a digest itself. */
  digests: WaitingNotification[][];
}

export type DigestLimits = Pick<TargetKind, 'perTargetInFlight' | 'digestBytesMax'>;

/** Let go in one turn, at most: they are published and waited for one by one. */
export const RELEASED_PER_TURN_MAX = 500;
/** What a sender may put around a member's title on its line, in bytes. */
export const DIGEST_LINE_OVERHEAD_BYTES = 32;

/**
 * Decides what leaves the waiting room.
 *
 * A target may send what each of its budgets and its sends under way allow: critical first, oldest next; a budget that several targets share is given out
 * in that order over all of them. Where more wait than one whole window of the narrowest budget can carry, those beyond it are told in digests. A
 * digest is only made when something may be sent: while nothing may, more come, and one digest tells them all.
 */
export function planRelease(
  targets: readonly WaitingTarget[],
  limitsOf: (channel: NotificationChannel) => DigestLimits,
  now: number,
): ReleasePlan {
  const allowances = targets.map((target) => ({
    target,
    limits: limitsOf(target.channel),
    sendable: sendableBy(target, limitsOf, now),
  }));
  const open = allowances.filter(({ sendable }) => sendable > 0);

  const digests: WaitingNotification[][] = [];
  const candidates: Candidate[] = [];
  for (const { target, limits, sendable } of open) {
    const due = target.waiting.filter((waiting) => waiting.waitingUntil <= now).sort(mostUrgentFirst);
    const made = digestsBeyond(windowCapacity(target), due, target.total, limits.digestBytesMax);
    digests.push(...made);
    const inDigest = new Set(made.flat());
    const alone = due.filter((waiting) => !inDigest.has(waiting));
    candidates.push(...alone.slice(0, sendable).map((waiting) => ({ waiting, target })));
  }
  return { release: shareOut(candidates), digests };
}

interface Candidate {
  waiting: WaitingNotification;
  target: WaitingTarget;
}

function shareOut(candidates: Candidate[]): WaitingNotification[] {
  const left = new Map(candidates.flatMap(({ target }) => target.budgets.map((budget) => [budget.name, budget.left])));
  const release: WaitingNotification[] = [];
  for (const { waiting, target } of candidates.sort((one, other) => mostUrgentFirst(one.waiting, other.waiting))) {
    if (release.length === RELEASED_PER_TURN_MAX) break;
    if (target.budgets.some(({ name }) => (left.get(name) ?? 0) <= 0)) continue;

    for (const { name } of target.budgets) left.set(name, (left.get(name) ?? 0) - 1);
    release.push(waiting);
  }
  return release;
}

function sendableBy(
  target: WaitingTarget,
  limitsOf: (channel: NotificationChannel) => DigestLimits,
  now: number,
): number {
  const budgets = target.budgets.map(({ left, blockedUntil }) => (now < blockedUntil ? 0 : left));
  return Math.min(limitsOf(target.channel).perTargetInFlight - target.inFlight, ...budgets);
}

function windowCapacity({ budgets }: WaitingTarget): number {
  return Math.min(Number.POSITIVE_INFINITY, ...budgets.map(({ limit }) => limit));
}

/** The digests that bring what waits down to one window: as few as tell the least urgent and newest. */
function digestsBeyond(
  capacity: number,
  due: readonly WaitingNotification[],
  total: number,
  bytesMax: number,
): WaitingNotification[][] {
  if (total <= capacity || bytesMax === 0) return [];

  for (let places = 1; ; places++) {
    const kept = Math.max(0, capacity - places);
    const digests = pack(due.slice(kept), bytesMax);
    if (digests.length <= places || kept === 0) return digests;
  }
}

function pack(beyond: readonly WaitingNotification[], bytesMax: number): WaitingNotification[][] {
  const digests: WaitingNotification[][] = [];
  let digest: WaitingNotification[] = [];
  let bytes = 0;
  for (const waiting of beyond) {
    const line = lineBytes(waiting);
    if (waiting.envelope.content.kind === 'digest' || line > bytesMax) continue;
    if (bytes + line > bytesMax) {
      digests.push(digest);
      digest = [];
      bytes = 0;
    }
    digest.push(waiting);
    bytes += line;
  }
  digests.push(digest);
  // A digest of one says no more than the one itself.
  return digests.filter((members) => members.length > 1);
}

function lineBytes({ envelope }: WaitingNotification): number {
  return Buffer.byteLength(titleOf(envelope)) + DIGEST_LINE_OVERHEAD_BYTES;
}

function mostUrgentFirst(one: WaitingNotification, other: WaitingNotification): number {
  return (
    urgency(one.severity) - urgency(other.severity) ||
    one.waitingSince - other.waitingSince ||
    (one.id < other.id ? -1 : 1)
  );
}

export function toMember({ envelope, severity }: WaitingNotification): DigestMember {
  return { id: envelope.id, severity, title: titleOf(envelope) };
}

/** One line that names a notification, at most `DIGEST_TITLE_CHARACTERS_MAX` characters. */
export function titleOf({ content, id }: Envelope): string {
  switch (content.kind) {
    case 'text':
      return cut(content.subject || content.text) || id;
    case 'group': {
      const name = content.groupLabels['alertname'] ?? content.commonLabels['alertname'] ?? content.receiver;
      const told =
        content.commonAnnotations['summary'] ??
        Object.values(content.groupLabels)
          .filter((value) => value !== name)
          .join(' ');
      return cut(`[${content.status} ${content.alerts.length}] ${name} ${told}`);
    }
    case 'digest':
      return cut(`digest of ${content.covers.length}`);
    default:
      return unreachable(content);
  }
}

function cut(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line.length <= DIGEST_TITLE_CHARACTERS_MAX) return line;
  return `${line.slice(0, DIGEST_TITLE_CHARACTERS_MAX - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

function unreachable(content: never): never {
  throw new Error(`no title for ${JSON.stringify(content)}`);
}
