import type { Alert } from './alert.js';
import { changedSince } from './changed-since.js';
import { Decisions } from './decisions.js';
import { type Group, groupKeyOf, groupLabelsOf, isSpent, logKeyOf, openGroup } from './group.js';
import { groupContents } from './group-content.js';
import { asOf, changeOf, hasEnded, mergeAlerts } from './merge.js';
import type { Envelope, GroupReason } from './notification.js';
import type { NotificationChannel } from './notification-channel.js';
import { idOfDigest, idOfFlush } from './notification-id.js';
import type { StoredDispatch, StoredGroup, StoredLogEntry, WaitingNotification, WaitingTarget } from './ports.js';
import type { DispatchReceiver, DispatchTarget } from './receiver.js';
import { buildRoutingTree, type Route, type RouteNode, type RoutingTree } from './routing-tree.js';
import { mostUrgent, severityOf } from './severity.js';
import { Timers } from './timers.js';
import { type DigestLimits, planRelease, toMember } from './waiting-room.js';

export interface DispatchOptions {
  route: RouteNode;
  receivers: readonly DispatchReceiver[];
  /** What a digest may hold, per notification channel. */
  limitsOf(channel: NotificationChannel): DigestLimits;
  /** Signs notification ids. */
  secret: Uint8Array;
  resolveTimeoutMs: number;
}

/** Alerts known at once, at most: bounds memory. What comes beyond is refused, and kept as dead letters to be posted again. */
export const ALERTS_MAX = 500_000;

/** A groupInterval of 0 must not flush without a pause. */
const GROUP_INTERVAL_MS_MIN = 100;

/** Why an accepted change is told to nobody. */
export type SuppressedReason =
  /** No route, or none whose receiver has a target. */
  | 'no-route'
  /** It was over before any target was told that it fires. */
  | 'resolved-before-told'
  /** It fired again before its end was told. */
  | 'fired-again-before-told'
  /** Its end is told to nobody: no target that knew of it wants to know. */
  | 'resolved-not-wanted';

/**
 * The alert domain's state and its decisions; no I/O, no clock. Each method changes the state in memory and gathers in `into` what must be written for it:
 * when that cannot be written, drop the whole object and load again.
 *
 *   receive    merge by fingerprint, match routes, join groups
 *   flushDue   per group whose timer is due: end what is overdue, compare with what each target was told, tell
 *   release    let go or digest what waits for its target's budget
 *
 * Holds between calls: a firing alert with a target is in every group its routes name; an ended one stays in a group until that group's flush has told its
 * end; an alert is forgotten with its last group.
 */
export class Dispatch {
  private readonly tree: RoutingTree;
  private readonly receivers: ReadonlyMap<string, DispatchReceiver>;
  private readonly alerts = new Map<string, Alert>();
  private readonly groups = new Map<string, Group>();
  private readonly log = new Map<string, StoredLogEntry>();
  /** Groups each alert is in; none for an alert that no route wants. */
  private readonly memberships = new Map<string, Set<string>>();
  /** Group key: its next flush. */
  private readonly flushes = new Timers();
  /** Fingerprint of an alert that no route wants: its end. It is remembered while it fires, so that its refreshes are no news. */
  private readonly unrouted = new Timers();
  /** Flush numbers of stored groups that were not taken over: a successor starts above. */
  private readonly flushNumbersUsed = new Map<string, number>();

  /** Throws `RouteError` when the routes cannot be used. */
  constructor(private readonly options: DispatchOptions) {
    this.receivers = new Map(options.receivers.map((receiver) => [receiver.name, withoutTwins(receiver)]));
    this.tree = buildRoutingTree(options.route, new Set(this.receivers.keys()));
  }

  get alertCount(): number {
    return this.alerts.size;
  }

  get groupCount(): number {
    return this.groups.size;
  }

  /** When `flushDue` has something to do next; infinity when nothing is known. */
  nextDueAt(): number {
    return Math.min(this.flushes.earliest(), this.unrouted.earliest());
  }

  /**
   * Takes over what is stored, once, before anything else. Refreshes live in memory only, so every firing alert gets one resolve time-out of grace. Alerts of
   * groups whose route is gone are routed anew; a target that hears of them on the new route too is not told again.
   */
  load(stored: StoredDispatch, now: number, into = new Decisions()): Decisions {
    const graceUntil = now + this.options.resolveTimeoutMs;
    for (const alert of stored.alerts) this.alerts.set(alert.fingerprint, withGrace(alert, graceUntil));
    for (const entry of stored.log) this.log.set(entry.key, entry);

    const left = stored.groups.map((group) => ({ group, strays: this.adopt(group) }));
    for (const { group, strays } of left) this.reroute(group, strays, now, into);
    for (const alert of this.alerts.values()) if (!hasEnded(alert)) this.join(alert, now, into, 'quietly');
    this.forgetStrays(into);
    return into;
  }

  /** Takes normalised alerts. Answers with those refused because `ALERTS_MAX` are known. */
  receive(posted: readonly Alert[], now: number, into = new Decisions()): { refused: Alert[]; decisions: Decisions } {
    const refused = posted.filter((alert) => !this.take(alert, now, into));
    return { refused, decisions: into };
  }

  /** Flushes the groups whose timer is due, at most `groupsMax` of them; the others stay due. */
  flushDue(now: number, into = new Decisions(), groupsMax = Number.POSITIVE_INFINITY): Decisions {
    for (const key of this.flushes.takeDue(now, groupsMax)) this.flush(this.groups.get(key) as Group, now, into);
    for (const fingerprint of this.unrouted.takeDue(now)) this.endUnrouted(fingerprint, now, into);
    return into;
  }

  /** Lets go what may be sent now, and makes digests of what no window can carry. Changes no state here: the store's rows do. */
  release(targets: readonly WaitingTarget[], now: number, into = new Decisions()): Decisions {
    const { release, digests } = planRelease(targets, this.options.limitsOf, now);
    for (const { id, envelope, nextAttempt, targetKey } of release) {
      into.release(envelope, nextAttempt);
      into.note({ at: now, notificationId: id, kind: 'released', detail: { targetKey } });
    }
    for (const members of digests) this.digest(members, now, into);
    return into;
  }

  /* ---- receive ---- */

  private take(posted: Alert, now: number, into: Decisions): boolean {
    const { fingerprint } = posted;
    const known = this.alerts.get(fingerprint);
    if (!known && hasEnded(posted)) {
      suppress(into, now, fingerprint, 'resolved-before-told');
      return true;
    }
    if (!known && this.alerts.size >= ALERTS_MAX) return false;

    const merged = known ? mergeAlerts(known, posted) : posted;
    const change = changeOf(known, merged, this.options.resolveTimeoutMs);
    this.alerts.set(fingerprint, merged);
    if (change === 'refreshed') return true;

    into.saveAlert(merged);
    into.note({
      at: now,
      fingerprint,
      kind: RECEIVED_AS[change],
      detail: { startsAt: merged.startsAt, endsAt: merged.endsAt },
    });
    if (change === 'new') this.join(merged, now, into, 'noted');
    if (change === 'fired-again') this.fireAgain(merged, now, into);
    if (change === 'resolved' && this.membershipsOf(fingerprint).size === 0) this.forgetAlert(fingerprint, into);
    return true;
  }

  private fireAgain(alert: Alert, now: number, into: Decisions): void {
    const isInGroup = this.membershipsOf(alert.fingerprint).size > 0;
    if (isInGroup) suppress(into, now, alert.fingerprint, 'fired-again-before-told');
    this.join(alert, now, into, 'noted');
  }

  private join(alert: Alert, now: number, into: Decisions, noting: 'noted' | 'quietly'): void {
    const memberships = this.membershipsOf(alert.fingerprint);
    const routes = this.routesOf(alert);
    if (routes.length === 0) {
      this.unrouted.set(alert.fingerprint, alert.endsAt);
      if (noting === 'noted') suppress(into, now, alert.fingerprint, 'no-route');
    }
    for (const route of routes) {
      const group = this.groupFor(alert, route, now);
      if (group.fingerprints.has(alert.fingerprint)) continue;

      group.fingerprints.add(alert.fingerprint);
      memberships.add(group.key);
      into.saveGroup(group);
      const detail = { groupKey: group.key, receiver: route.receiver, flushAt: group.nextFlushAt };
      into.note({ at: now, fingerprint: alert.fingerprint, kind: 'grouped', detail });
    }
  }

  private groupFor(alert: Alert, route: Route, now: number): Group {
    const { key, labels } = placeOf(alert, route);
    const known = this.groups.get(key);
    if (known && known.fingerprints.size > 0) return known;

    // An empty group, kept only for its number, starts over with the group wait.
    const fresh = openGroup(key, route, labels, now);
    const used = known?.flushNumber ?? this.flushNumbersUsed.get(key) ?? 0;
    const group = { ...fresh, flushNumber: Math.max(fresh.flushNumber, used) };
    this.flushNumbersUsed.delete(key);
    this.groups.set(key, group);
    this.flushes.set(key, group.nextFlushAt);
    return group;
  }

  /* ---- flush ---- */

  private flush(group: Group, now: number, into: Decisions): void {
    const members = [...group.fingerprints].map((fingerprint) => this.endOverdue(fingerprint, now, into));
    const firing = members.filter((alert) => !hasEnded(alert));
    const ended = members.filter(hasEnded);

    const news = this.targetsOf(group.route).map((target) => this.tell({ group, target, firing, ended, now, into }));
    if (news.some(({ told }) => told)) group.flushNumber += 1;
    for (const alert of ended) {
      if (!news.some(({ resolved }) => resolved.has(alert.fingerprint)))
        suppress(into, now, alert.fingerprint, reasonUntold(alert, news));
      this.leave(alert.fingerprint, group, into);
    }

    group.nextFlushAt = now + Math.max(group.route.groupIntervalMs, GROUP_INTERVAL_MS_MIN);
    if (ended.length > 0 || news.some(({ told }) => told)) into.saveGroup(group);
    if (isSpent(group, now)) this.forgetGroup(group, into);
    else this.flushes.set(group.key, group.nextFlushAt);
  }

  private endOverdue(fingerprint: string, now: number, into: Decisions): Alert {
    const known = this.alerts.get(fingerprint) as Alert;
    const alert = asOf(known, now);
    if (alert === known) return known;

    this.alerts.set(fingerprint, alert);
    into.saveAlert(alert);
    into.note({ at: now, fingerprint, kind: 'resolved', detail: { reason: 'not-refreshed', endsAt: alert.endsAt } });
    return alert;
  }

  private tell({ group, target, firing, ended, now, into }: Telling): News {
    const { receiver, repeatIntervalMs } = group.route;
    const key = logKeyOf(group.key, receiver, target.targetKey);
    const told = this.log.get(key);
    const verdict = changedSince(told, {
      firing: firing.map(({ fingerprint }) => fingerprint),
      ended: ended.map(({ fingerprint }) => fingerprint),
      sendResolved: target.sendResolved,
      repeatIntervalMs,
      now,
    });
    const believed = new Set(told?.firing);
    if (verdict.tell === 'nothing' && !verdict.logChanged) return { told: false, resolved: new Set(), believed };

    const resolved = new Set(verdict.tell === 'nothing' ? [] : verdict.resolved);
    const entry: StoredLogEntry = {
      key,
      groupKey: group.key,
      firing: firing.map(({ fingerprint }) => fingerprint),
      resolved: [...resolved],
      notifiedAt: verdict.tell === 'nothing' ? (told?.notifiedAt ?? now) : now,
    };
    this.log.set(key, entry);
    into.saveLog(entry);
    if (verdict.tell === 'nothing') return { told: false, resolved, believed };

    const alerts = [...firing, ...ended.filter(({ fingerprint }) => resolved.has(fingerprint))];
    this.notify({ group, target, alerts, reason: verdict.tell, now, into });
    return { told: true, resolved, believed };
  }

  private notify({ group, target, alerts, reason, now, into }: Notifying): void {
    const { receiver } = group.route;
    const { channel, targetKey } = target;
    const contents = groupContents({ reason, receiver, groupKey: group.key, groupLabels: group.labels }, alerts);
    for (const [part, content] of contents.entries()) {
      const envelope: Envelope = {
        version: 1,
        id: idOfFlush(this.options.secret, {
          groupKey: group.key,
          flushNumber: group.flushNumber + 1,
          receiver,
          targetKey,
          part,
        }),
        ...{ channel, target: target.target, targetKey },
        severity: mostUrgent(content.alerts.map((alert) => severityOf(alert.labels))),
        createdAt: new Date(now).toISOString(),
        content,
      };
      const fingerprints = content.alerts.map((alert) => alert.fingerprint);
      into.notify({ envelope, groupKey: group.key, receiver, fingerprints });
      for (const { fingerprint, status } of content.alerts) {
        const detail = { channel, targetKey, receiver, reason, status };
        into.note({ at: now, fingerprint, notificationId: envelope.id, kind: 'notified', detail });
      }
    }
  }

  private endUnrouted(fingerprint: string, now: number, into: Decisions): void {
    const alert = this.alerts.get(fingerprint);
    if (!alert || this.membershipsOf(fingerprint).size > 0) return;

    if (alert.endsAt > now) this.unrouted.set(fingerprint, alert.endsAt);
    else this.forgetAlert(fingerprint, into);
  }

  private leave(fingerprint: string, group: Group, into: Decisions): void {
    group.fingerprints.delete(fingerprint);
    const memberships = this.membershipsOf(fingerprint);
    memberships.delete(group.key);
    if (memberships.size === 0) this.forgetAlert(fingerprint, into);
  }

  private forgetAlert(fingerprint: string, into: Decisions): void {
    this.alerts.delete(fingerprint);
    this.memberships.delete(fingerprint);
    this.unrouted.delete(fingerprint);
    into.forgetAlert(fingerprint);
  }

  private forgetGroup(group: Group, into: Decisions): void {
    this.groups.delete(group.key);
    this.flushes.delete(group.key);
    into.forgetGroup(group.key);
    for (const { targetKey } of this.targetsOf(group.route))
      this.forgetLog(logKeyOf(group.key, group.route.receiver, targetKey), into);
  }

  private forgetLog(key: string, into: Decisions): void {
    if (this.log.delete(key)) into.forgetLog(key);
  }

  /* ---- load ---- */

  /** Takes a stored group over with the alerts that the routes still put there; answers with the others. */
  private adopt(stored: StoredGroup): string[] {
    const { key, groupLabels: labels, nextFlushAt, flushNumber } = stored;
    const strays: string[] = [];
    let group: Group | undefined;
    for (const fingerprint of stored.fingerprints) {
      const alert = this.alerts.get(fingerprint);
      const route = alert && this.routesOf(alert).find((one) => placeOf(alert, one).key === key);
      if (!route) {
        strays.push(fingerprint);
        continue;
      }
      group ??= { key, route, labels, fingerprints: new Set(), nextFlushAt, flushNumber };
      group.fingerprints.add(fingerprint);
      this.membershipsOf(fingerprint).add(key);
    }
    if (group) {
      this.groups.set(key, group);
      this.flushes.set(key, nextFlushAt);
    } else this.flushNumbersUsed.set(key, flushNumber);
    return strays;
  }

  private reroute(old: StoredGroup, strays: readonly string[], now: number, into: Decisions): void {
    const movedTo = new Map<string, string[]>();
    for (const fingerprint of strays) {
      const alert = this.alerts.get(fingerprint);
      if (!alert) continue;

      into.note({ at: now, fingerprint, kind: 'regrouped', detail: { reason: 'route-changed', groupKey: old.key } });
      this.join(alert, now, into, 'noted');
      for (const key of this.membershipsOf(fingerprint)) listIn(movedTo, key).push(fingerprint);
    }
    for (const [key, fingerprints] of movedTo)
      this.carryLog(old, fingerprints, this.groups.get(key) as Group, now, into);

    const group = this.groups.get(old.key);
    if (!group) into.forgetGroup(old.key);
    else if (strays.length > 0) into.saveGroup(group);
  }

  /** A target that the old group told, and that the new group tells as well, knows already: it is not told again, and will hear of the end. */
  private carryLog(
    old: StoredGroup,
    fingerprints: readonly string[],
    group: Group,
    now: number,
    into: Decisions,
  ): void {
    for (const { targetKey } of this.targetsOf(group.route)) {
      const before = this.log.get(logKeyOf(old.key, old.receiver, targetKey));
      const believed = new Set(before?.firing);
      const carried = fingerprints.filter((fingerprint) => believed.has(fingerprint));
      if (carried.length === 0) continue;

      const key = logKeyOf(group.key, group.route.receiver, targetKey);
      const known = this.log.get(key) ?? {
        key,
        groupKey: group.key,
        firing: [],
        resolved: [],
        notifiedAt: before?.notifiedAt ?? now,
      };
      const entry = { ...known, firing: [...new Set([...known.firing, ...carried])] };
      this.log.set(key, entry);
      into.saveLog(entry);
    }
  }

  /** Entries of groups, receivers or targets that are gone, and ended alerts that are in no group. */
  private forgetStrays(into: Decisions): void {
    const wanted = new Set<string>();
    for (const { key, route } of this.groups.values()) {
      for (const { targetKey } of this.targetsOf(route)) wanted.add(logKeyOf(key, route.receiver, targetKey));
    }
    for (const key of [...this.log.keys()]) if (!wanted.has(key)) this.forgetLog(key, into);
    for (const [fingerprint, alert] of this.alerts) {
      if (hasEnded(alert) && this.membershipsOf(fingerprint).size === 0) this.forgetAlert(fingerprint, into);
    }
  }

  /* ---- release ---- */

  private digest(members: readonly WaitingNotification[], now: number, into: Decisions): void {
    const [first] = members as [WaitingNotification, ...WaitingNotification[]];
    const { channel, target, targetKey } = first.envelope;
    const id = idOfDigest(
      this.options.secret,
      members.map((member) => member.id),
    );
    const envelope: Envelope = {
      version: 1,
      ...{ id, channel, target, targetKey },
      severity: mostUrgent(members.map((member) => member.severity)),
      createdAt: new Date(now).toISOString(),
      content: { kind: 'digest', covers: members.map(toMember) },
    };
    into.notify({ envelope, fingerprints: [] }, true);
    for (const member of members) {
      into.digest(member.id, id);
      into.note({ at: now, notificationId: member.id, kind: 'digested', detail: { digestId: id, targetKey } });
    }
  }

  /* ---- small ---- */

  private routesOf(alert: Alert): Route[] {
    return this.tree.match(alert.labels).filter((route) => this.targetsOf(route).length > 0);
  }

  private targetsOf({ receiver }: Route): readonly DispatchTarget[] {
    return this.receivers.get(receiver)?.targets ?? [];
  }

  private membershipsOf(fingerprint: string): Set<string> {
    const existing = this.memberships.get(fingerprint);
    if (existing) return existing;

    const memberships = new Set<string>();
    this.memberships.set(fingerprint, memberships);
    return memberships;
  }
}

const RECEIVED_AS = { new: 'received', 'fired-again': 'received', resolved: 'resolved', updated: 'merged' } as const;

interface Telling {
  group: Group;
  target: DispatchTarget;
  firing: readonly Alert[];
  ended: readonly Alert[];
  now: number;
  into: Decisions;
}

interface Notifying {
  group: Group;
  target: DispatchTarget;
  alerts: readonly Alert[];
  reason: GroupReason;
  now: number;
  into: Decisions;
}

/** What a flush meant to one target. */
interface News {
  told: boolean;
  /** Whose end it was told. */
  resolved: ReadonlySet<string>;
  /** What it believed to fire before. */
  believed: ReadonlySet<string>;
}

function reasonUntold({ fingerprint }: Alert, news: readonly News[]): SuppressedReason {
  return news.some(({ believed }) => believed.has(fingerprint)) ? 'resolved-not-wanted' : 'resolved-before-told';
}

function suppress(into: Decisions, at: number, fingerprint: string, reason: SuppressedReason): void {
  into.note({ at, fingerprint, kind: 'suppressed', detail: { reason } });
}

function placeOf(alert: Alert, route: Route): { key: string; labels: Record<string, string> } {
  const labels = groupLabelsOf(alert.labels, route);
  return { key: groupKeyOf(route, labels), labels };
}

function listIn(lists: Map<string, string[]>, key: string): string[] {
  const existing = lists.get(key);
  if (existing) return existing;

  const list: string[] = [];
  lists.set(key, list);
  return list;
}

function withGrace(alert: Alert, graceUntil: number): Alert {
  return hasEnded(alert) || alert.endsAt >= graceUntil
    ? alert
    : { ...alert, endsAt: graceUntil, endsAtIsTimeout: true };
}

function withoutTwins(receiver: DispatchReceiver): DispatchReceiver {
  return { ...receiver, targets: [...new Map(receiver.targets.map((target) => [target.targetKey, target])).values()] };
}
