import type { Alert } from './alert.js';
import { type Group, toStoredGroup } from './group.js';
import type { Envelope } from './notification.js';
import type { DispatchChanges, NewNotification, StoredLogEntry, TimelineEntry } from './ports.js';

/** A notification to publish: which attempt, and whether the waiting room let it go. */
export interface Publication {
  envelope: Envelope;
  attempt: number;
  released: boolean;
}

/** All that one turn decided, ready to be written: the app adds the outbox rows that carry `publications`, and what it published before. */
export interface DecidedChanges {
  changes: Omit<DispatchChanges, 'outbox' | 'published'>;
  publications: Publication[];
}

/** Gathers what a turn decides. A row that changes several times is written once, as it is at the end. */
export class Decisions {
  private readonly alerts = new Map<string, Alert | 'forgotten'>();
  private readonly groups = new Map<string, Group | 'forgotten'>();
  private readonly log = new Map<string, StoredLogEntry | 'forgotten'>();
  private readonly notifications: NewNotification[] = [];
  private readonly timeline: TimelineEntry[] = [];
  private readonly released: string[] = [];
  private readonly digested: { id: string; digestId: string }[] = [];
  private readonly publications: Publication[] = [];

  saveAlert(alert: Alert): void {
    this.alerts.set(alert.fingerprint, alert);
  }

  forgetAlert(fingerprint: string): void {
    this.alerts.set(fingerprint, 'forgotten');
  }

  saveGroup(group: Group): void {
    this.groups.set(group.key, group);
  }

  forgetGroup(key: string): void {
    this.groups.set(key, 'forgotten');
  }

  saveLog(entry: StoredLogEntry): void {
    this.log.set(entry.key, entry);
  }

  forgetLog(key: string): void {
    this.log.set(key, 'forgotten');
  }

  note(entry: TimelineEntry): void {
    this.timeline.push(entry);
  }

  notify(notification: NewNotification, released = false): void {
    this.notifications.push(notification);
    this.publications.push({ envelope: notification.envelope, attempt: 1, released });
  }

  release(envelope: Envelope, attempt: number): void {
    this.released.push(envelope.id);
    this.publications.push({ envelope, attempt, released: true });
  }

  digest(id: string, digestId: string): void {
    this.digested.push({ id, digestId });
  }

  /** Something left the waiting room. */
  get hasReleases(): boolean {
    return this.released.length + this.digested.length > 0;
  }

  get isEmpty(): boolean {
    return this.alerts.size + this.groups.size + this.log.size + this.timeline.length + this.publications.length === 0;
  }

  toChanges(): DecidedChanges {
    const { notifications, timeline, released, digested, publications } = this;
    const [alerts, alertsForgotten] = split(this.alerts);
    const [groups, groupsForgotten] = split(this.groups);
    const [log, logForgotten] = split(this.log);
    const changes = {
      ...{ alerts, alertsForgotten, groups: groups.map(toStoredGroup), groupsForgotten, log, logForgotten },
      ...{ notifications, timeline, released, digested },
    };
    return { changes, publications };
  }
}

function split<Row extends object>(rows: ReadonlyMap<string, Row | 'forgotten'>): [saved: Row[], forgotten: string[]] {
  const saved: Row[] = [];
  const forgotten: string[] = [];
  for (const [key, row] of rows) {
    if (row === 'forgotten') forgotten.push(key);
    else saved.push(row);
  }
  return [saved, forgotten];
}
