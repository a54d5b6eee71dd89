import { setTimeout as delay } from 'node:timers/promises';
import type { TocsinClient } from '#testing';
import type { Random } from './random.js';

export type Way = 'email' | 'webhook' | 'dingtalk';

/** A notification that was posted directly. Its subject is its own and names it wherever it is told. */
export interface Posted {
  way: Way;
  subject: string;
  /** Known once it was accepted. */
  id: string | undefined;
}

export interface PostedAlert {
  instance: string;
  labels: Record<string, string>;
  /** What was accepted of it; an alert whose post got no answer is neither. */
  fingerprint: string | undefined;
  isResolved: boolean;
}

export interface Targets {
  webhookUrl: string;
  robot: { token: string; secret: string };
  /** Beyond it the robot's window of a minute would outlast the test. */
  robotPostsMax: number;
}

const PAUSE_MS_MAX = 60;
const GROUPS = 12;

/** Posts notifications and alerts for ever, to whichever service runs, and remembers which were accepted. */
export class ServiceLoad {
  readonly notifications: Posted[] = [];
  readonly alerts: PostedAlert[] = [];
  /** Posts without a 2xx: those may have been taken or not. */
  unanswered = 0;
  #next = 0;
  #robotPosts = 0;
  #isStopped = false;

  constructor(
    private readonly random: Random,
    private readonly targets: Targets,
    /** Undefined while nothing runs. */
    private readonly client: () => TocsinClient | undefined,
  ) {}

  async run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#postSomething();
      await delay(this.random.between(0, PAUSE_MS_MAX));
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  #postSomething(): Promise<void> {
    const kind = this.random.next();
    if (kind < 0.6) return this.#postNotifications();
    if (kind < 0.7) return this.#postUntilAccepted();
    return kind < 0.9 ? this.#fire() : this.#resolve();
  }

  async #postNotifications(): Promise<void> {
    const posted = Array.from({ length: this.random.between(1, 5) }, () => this.#compose());
    await this.#post(posted, undefined);
  }

  /** As a careful caller does: the same key until it is accepted, so it must be told once. */
  async #postUntilAccepted(): Promise<void> {
    const posted = this.#compose();
    while (!(await this.#post([posted], posted.subject)) && !this.#isStopped) await delay(100);
  }

  async #post(posted: Posted[], idempotencyKey: string | undefined): Promise<boolean> {
    const body = posted.map(({ way, subject }) => ({
      ...{ channel: way, target: this.#targetOf(way), subject, text: `text of ${subject}` },
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    }));
    const answer = await this.#send<{ notifications: { id: string }[] }>('/api/v1/notifications', body);
    if (answer === undefined) return false;

    for (const [index, { id }] of answer.notifications.entries()) posted[index]!.id = id;
    this.notifications.push(...posted);
    return true;
  }

  async #fire(): Promise<void> {
    const alerts = Array.from({ length: this.random.between(1, 4) }, () => {
      const instance = `host-${this.#name()}`;
      const labels = { alertname: `Group${this.random.between(1, GROUPS)}`, instance };
      return { instance, labels, fingerprint: undefined, isResolved: false };
    });
    await this.#postAlerts(alerts, {});
  }

  async #resolve(): Promise<void> {
    const firing = this.alerts.filter(({ isResolved }) => !isResolved);
    if (firing.length === 0) return;

    const alert = this.random.pick(firing);
    const isAccepted = await this.#postAlerts([alert], { endsAt: new Date().toISOString() });
    if (isAccepted) alert.isResolved = true;
  }

  async #postAlerts(alerts: PostedAlert[], times: { endsAt?: string }): Promise<boolean> {
    const body = alerts.map(({ labels }) => ({ labels, ...times }));
    const answer = await this.#send<{ alerts: { fingerprint: string }[] }>('/api/v1/alerts', body);
    if (answer === undefined) return false;

    for (const [index, { fingerprint }] of answer.alerts.entries()) {
      const alert = alerts[index]!;
      if (alert.fingerprint === undefined) this.alerts.push(alert);
      alert.fingerprint = fingerprint;
    }
    return true;
  }

  async #send<Body>(path: string, body: unknown): Promise<Body | undefined> {
    const answer = await this.client()
      ?.post<Body>(path, body)
      .catch(() => undefined);
    if (answer?.status === 202) return answer.json;

    // 503 is an honest refusal; anything else would be a fault of ours or theirs.
    if (answer !== undefined && answer.status !== 503) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    this.unanswered += 1;
    return undefined;
  }

  #compose(): Posted {
    const mayUseRobot = this.#robotPosts < this.targets.robotPostsMax;
    const kind = this.random.next();
    const way = kind < 0.1 && mayUseRobot ? 'dingtalk' : kind < 0.6 ? 'email' : 'webhook';
    if (way === 'dingtalk') this.#robotPosts += 1;
    return { way, subject: `notice ${this.#name()}`, id: undefined };
  }

  #targetOf(way: Way): Record<string, unknown> {
    if (way === 'email') return { to: `person-${this.random.between(1, 8)}@example.com` };
    return way === 'webhook' ? { url: this.targets.webhookUrl } : this.targets.robot;
  }

  /** Of one length, so that no name is a part of another. */
  #name(): string {
    return String(this.#next++).padStart(6, '0');
  }
}
