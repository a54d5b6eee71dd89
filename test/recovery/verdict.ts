import {
  type DingTalkSimulator,
  type SmtpSimulator,
  TEST_ADMIN_PASSWORD,
  type TocsinClient,
  type WebhookReceiver,
  waitFor,
} from '#testing';
import type { Posted, PostedAlert, Way } from './service-load.js';

export interface Providers {
  smtp: SmtpSimulator;
  webhook: WebhookReceiver;
  dingtalk: DingTalkSimulator;
}

interface View {
  id: string;
  status: string;
  via?: string;
  reason?: string;
  attempts: { number: number; outcome?: string; reason?: string; providerMessage?: string; mayRepeat: boolean }[];
}

interface Entry {
  kind: string;
  notificationId?: string;
  detail: Record<string, unknown>;
}

export interface Verdict {
  /** Each a sentence about a broken promise. */
  broken: string[];
  figures: Record<string, number>;
}

const FINAL = new Set(['sent', 'dead', 'suppressed']);
/** The way of the targets that alerts go to. */
const ALERT_WAYS: readonly Way[] = ['email', 'webhook'];

/** Waits until everything accepted has come to an end, then asks whether it was the promised one. */
export class Judge {
  readonly #views = new Map<string, View>();
  readonly #broken: string[] = [];

  constructor(
    private readonly client: TocsinClient,
    private readonly providers: Providers,
  ) {}

  async judge(posted: readonly Posted[], alerts: readonly PostedAlert[], timeoutMs: number): Promise<Verdict> {
    const endsAt = performance.now() + timeoutMs;
    const direct = posted.map(({ id }) => id!);
    const timelines = await this.#timelinesOf(alerts, endsAt);
    const grouped = [...timelines.values()].flat().flatMap((entry) => entry.notificationId ?? []);
    const ids = [...new Set([...direct, ...grouped])];
    await this.#waitUntilFinal(ids, endsAt);

    for (const one of posted) this.#judgeNotification(one);
    for (const alert of alerts) this.#judgeAlert(alert, timelines.get(alert)!);
    const repeats = this.#judgeRepeats();
    const dead = ids.filter((id) => this.#views.get(id)?.status === 'dead');
    await this.#judgeDeadLetters(dead);
    const count = (status: string) => ids.filter((id) => this.#views.get(id)?.status === status).length;
    return {
      broken: this.#broken,
      figures: {
        notifications: direct.length,
        alerts: alerts.length,
        told: ids.length,
        sent: count('sent'),
        dead: dead.length,
        suppressed: count('suppressed'),
        ...repeats,
        marked: [...this.#views.values()].filter(isMarked).length,
      },
    };
  }

  /** Timelines, once each accepted alert was told or suppressed, and its end too. */
  async #timelinesOf(alerts: readonly PostedAlert[], endsAt: number): Promise<Map<PostedAlert, Entry[]>> {
    const timelines = new Map<PostedAlert, Entry[]>();
    let open = [...alerts];
    await waitFor(
      async () => {
        for (const alert of open) timelines.set(alert, await this.#timelineOf(alert));
        open = open.filter((alert) => !isTold(alert, timelines.get(alert)!));
        return open.length === 0;
      },
      { timeoutMs: endsAt - performance.now(), what: 'alerts to be told', pollMs: 250 },
    ).catch(() => {
      for (const alert of open) {
        const entries = timelines.get(alert)!.map(({ kind, detail }) => `${kind} ${JSON.stringify(detail)}`);
        this.#broken.push(`alert ${JSON.stringify(alert)} was not told to all its targets: ${entries.join('; ')}`);
      }
    });
    return timelines;
  }

  async #timelineOf({ fingerprint }: PostedAlert): Promise<Entry[]> {
    const answer = await this.client.get<{ timeline: Entry[] }>(`/api/v1/alerts/${fingerprint}/timeline`, 'admin');
    return answer.status === 200 ? answer.json.timeline : [];
  }

  async #waitUntilFinal(ids: readonly string[], endsAt: number): Promise<void> {
    let open = [...ids];
    await waitFor(
      async () => {
        for (const id of open) this.#views.set(id, (await this.client.get<View>(`/api/v1/notifications/${id}`)).json);
        open = open.filter((id) => !FINAL.has(this.#views.get(id)!.status));
        return open.length === 0;
      },
      { timeoutMs: Math.max(1_000, endsAt - performance.now()), what: 'final states', pollMs: 250 },
    ).catch(() => {
      for (const id of open) this.#broken.push(`stuck: ${JSON.stringify(this.#views.get(id))}`);
    });
  }

  #judgeNotification({ id, way, subject }: Posted): void {
    const view = this.#views.get(id!)!;
    if (view.status === 'sent' && !this.#wasTold(way, id!, subject)) {
      this.#broken.push(`sent, but never told by ${way}: ${subject} ${JSON.stringify(view)}`);
    }
    if (view.status !== 'sent' && view.reason === undefined) {
      this.#broken.push(`ended as ${view.status} without a reason: ${JSON.stringify(view)}`);
    }
  }

  /** By itself or named in a digest. */
  #wasTold(way: Way, id: string, subject: string): boolean {
    const { smtp, webhook, dingtalk } = this.providers;
    switch (way) {
      case 'email':
        return smtp.mails.some((mail) => mail.notificationId === id || mail.text.includes(subject));
      case 'webhook':
        return webhook.requests.some((request) => request.id === id || request.body.includes(subject));
      case 'dingtalk':
        return dingtalk.messages.some(({ title, text }) => `${title}\n${text}`.includes(subject));
      default:
        return way satisfies never;
    }
  }

  /** What the record calls sent has arrived, at each of the two targets. */
  #judgeAlert(alert: PostedAlert, entries: readonly Entry[]): void {
    const { smtp, webhook } = this.providers;
    for (const { kind, notificationId, detail } of entries) {
      if (kind !== 'notified' || this.#views.get(notificationId!)?.status !== 'sent') continue;
      const isThere =
        detail['channel'] === 'email'
          ? smtp.mails.some((mail) => mail.notificationId === notificationId && mail.text.includes(alert.instance))
          : webhook.requests.some(({ id, body }) => id === notificationId && body.includes(alert.instance));
      if (!isThere) this.#broken.push(`${notificationId} is called sent, but did not tell of ${alert.instance}`);
    }
  }

  #judgeRepeats(): { repeatsByMail: number; repeatsByWebhook: number } {
    const mails = countEach(this.providers.smtp.mails.map(({ notificationId }) => notificationId));
    const requests = countEach(this.providers.webhook.requests.map(({ id }) => id));
    let [repeatsByMail, repeatsByWebhook] = [0, 0];
    for (const [id, count] of mails) repeatsByMail += this.#judgeRepeat(id, count);
    for (const [id, count] of requests) repeatsByWebhook += this.#judgeRepeat(id, count);
    return { repeatsByMail, repeatsByWebhook };
  }

  #judgeRepeat(id: string, count: number): number {
    const view = this.#views.get(id);
    // Not in the record: its post got no answer, and nobody asked for its state.
    if (count > 1 && view !== undefined && !isMarked(view)) {
      this.#broken.push(`told ${count} times without a mark: ${JSON.stringify(view)}`);
    }
    return count - 1;
  }

  async #judgeDeadLetters(dead: readonly string[]): Promise<void> {
    for (const id of dead) {
      const view = this.#views.get(id)!;
      if (view.via !== undefined) continue;
      const listed = await waitFor(
        async () =>
          (await this.client.get<{ items: unknown[] }>(`/api/v1/dead-letters?q=${id}`, 'admin')).json.items[0],
        { timeoutMs: 60_000, what: 'a dead letter' },
      ).catch(() => undefined);
      if (listed === undefined) this.#broken.push(`dead, but not among the dead letters: ${JSON.stringify(view)}`);
    }
  }
}

/** Deliveries left in the broker's queues; the dispatcher's ticks apart. */
export async function queuesLeft(managementUrl: string): Promise<Record<string, number>> {
  const guest = `Basic ${Buffer.from('guest:guest').toString('base64')}`;
  const response = await fetch(`${managementUrl}/api/queues`, { headers: { authorization: guest } });
  if (!response.ok)
    throw new Error(`${response.status} ${await response.text()} (admin password ${TEST_ADMIN_PASSWORD})`);
  const queues = (await response.json()) as { name: string; messages: number }[];
  const left = queues.filter(({ name, messages }) => name !== 'dispatch' && messages > 0);
  return Object.fromEntries(left.map(({ name, messages }) => [name, messages]));
}

/** Each change ends with each target, or with a reason why not. */
function isTold({ isResolved }: PostedAlert, entries: readonly Entry[]): boolean {
  const isSuppressed = entries.some(({ kind }) => kind === 'suppressed');
  const hasTold = (status: string) =>
    ALERT_WAYS.every((way) =>
      entries.some(
        ({ kind, detail }) => kind === 'notified' && detail['channel'] === way && detail['status'] === status,
      ),
    );
  return isSuppressed || (hasTold('firing') && (!isResolved || hasTold('resolved')));
}

/** Someone may have been told twice, and the record says so. */
function isMarked({ attempts }: View): boolean {
  return attempts.some(({ mayRepeat, outcome }) => mayRepeat || outcome === 'unknown');
}

function countEach(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
