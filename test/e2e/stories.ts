import { expect, it } from '@jest/globals';
import {
  type DingTalkSimulator,
  newFolder,
  type Service,
  type ServiceOptions,
  type SmtpSimulator,
  startDingTalkSimulator,
  startService,
  startSmtpServer,
  TocsinClient,
  waitFor,
} from '#testing';

// What must be seen of the whole service, whatever broker and database it runs on. Each story starts from nothing.

/** Where a story takes place: the variables that choose broker and database. */
export interface Place {
  environment: Record<string, string>;
}

export const ROBOT = { token: 'robot-token', secret: 'SECrobot-secret' };

interface Named {
  notifications: { id: string }[];
}

export interface NotificationAnswer {
  id: string;
  status: string;
  via?: string;
  attempts: { outcome: string; reason: string; providerCode: string; providerMessage: string; mayRepeat: boolean }[];
}

/** Both ways out of this release, and a receiver `ops` that every alert goes to. */
export function mailAndRobot(smtp: SmtpSimulator, dingtalk: DingTalkSimulator): string {
  return `
senders:
  email: { url: "${smtp.url}", from: "Tocsin <tocsin@example.com>" }
  dingtalk: { baseUrl: "${dingtalk.url}" }
receivers:
  - name: ops
    targets:
      - { channel: email, to: ops@example.com }
      - { channel: dingtalk, token: ${ROBOT.token}, secret: ${ROBOT.secret} }
route: { receiver: ops, groupBy: [alertname], groupWait: 0s, groupInterval: 1s }
`;
}

function mailOnly(smtp: SmtpSimulator, groupWait = '0s'): string {
  return `
senders:
  email: { url: "${smtp.url}", from: "Tocsin <tocsin@example.com>" }
receivers:
  - name: ops
    targets:
      - { channel: email, to: ops@example.com }
route:
  receiver: ops
  groupBy: [alertname]
  groupWait: ${groupWait}
  groupInterval: 1s
`;
}

/** All stories, as tests of the place that `place` is when they run. */
export function tellAll(place: Place): void {
  it('brings an alert to an inbox and a signed robot', () => alertReachesInboxAndRobot(place));
  it('loses no accepted notification when every process is killed', () => nothingIsLostWhenEverythingIsKilled(place));
  it('loses no alert when every process is killed inside groupWait', () => groupsSurviveAKillInsideGroupWait(place));
  it('keeps refused mails for review, replays them, and retries along the ladder', () =>
    refusedMailsAreReviewedAndReplayed(place));
  it('digests a burst to one robot without a penalty', () => aBurstToOneRobotIsDigested(place));
}

/** Runs `story` on a started service and ends whatever it left running. */
async function withService(options: ServiceOptions, story: (service: Service) => Promise<void>): Promise<void> {
  const service = await startService(options);
  try {
    await story(service);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n--- the service said ---\n${service.output()}`, { cause: error });
  } finally {
    await service.kill();
  }
}

export async function notificationOf(client: TocsinClient, id: string): Promise<NotificationAnswer> {
  return (await client.get<NotificationAnswer>(`/api/v1/notifications/${id}`)).json;
}

export async function waitForStatus(client: TocsinClient, id: string, status: string, timeoutMs = 60_000) {
  let last: NotificationAnswer | undefined;
  await waitFor(
    async () => {
      last = await notificationOf(client, id);
      return last.status === status;
    },
    { timeoutMs, what: () => `status ${status} of ${id}, which stands at ${JSON.stringify(last)}`, pollMs: 100 },
  );
  return last!;
}

/** An alert posted natively, by Prometheus' route and by Alertmanager's webhook reaches an inbox and a signed robot. */
export async function alertReachesInboxAndRobot(place: Place): Promise<void> {
  const smtp = await startSmtpServer();
  const dingtalk = await startDingTalkSimulator({ robots: [ROBOT] });
  const configuration = mailAndRobot(smtp, dingtalk);
  try {
    await withService({ configuration, environment: place.environment }, async (service) => {
      const client = new TocsinClient(service.http);
      const labels = { alertname: 'HighCPU', instance: 'web-1:9100', severity: 'critical' };
      const accepted = await client.post('/api/v1/alerts', { labels, annotations: { summary: 'cpu 97%' } });
      expect([accepted.status, accepted.json]).toEqual([
        202,
        { accepted: 1, alerts: [{ fingerprint: 'cc6e49118c0ea32b' }] },
      ]);
      const [mail] = await smtp.waitForMails(1, 60_000);
      expect(mail!.subject).toContain('HighCPU');
      expect(mail!.text).toContain('web-1:9100');
      const [message] = await dingtalk.waitForMessages(1, 60_000);
      expect(message!.text).toContain('HighCPU');

      const prometheus = await client.post('/api/v2/alerts', [{ labels: { alertname: 'FromPrometheus' } }]);
      expect([prometheus.status, prometheus.text]).toEqual([200, '']);
      await dingtalk.waitUntil((all) => all.some(({ text }) => text.includes('FromPrometheus')), 60_000, 'v2 alert');

      const timeline = await client.get('/api/v1/alerts/cc6e49118c0ea32b/timeline', 'admin');
      expect(timeline.status).toBe(200);
      expect(JSON.stringify(timeline.json)).toContain('notified');
      expect(await service.stop()).toBe(0);
    });
  } finally {
    await Promise.all([smtp.stop(), dingtalk.stop()]);
  }
}

/** 500 accepted while the mail server is down, everything killed, mail server up, started again: 500 distinct mails. */
export async function nothingIsLostWhenEverythingIsKilled(place: Place): Promise<void> {
  const count = 500;
  const smtp = await startSmtpServer();
  const folder = await newFolder();
  const configuration = mailOnly(smtp);
  await smtp.stop();
  try {
    const ids: string[] = [];
    await withService({ configuration, folder, environment: place.environment }, async (service) => {
      const client = new TocsinClient(service.http);
      for (let from = 0; from < count; from += 50) {
        const batch = Array.from({ length: 50 }, (_, index) => ({
          channel: 'email',
          target: { to: `person-${from + index}@example.com` },
          subject: `mail ${from + index}`,
          text: 'the disk is full',
        }));
        const answer = await client.post<Named>('/api/v1/notifications', batch);
        expect(answer.status).toBe(202);
        ids.push(...answer.json.notifications.map(({ id }) => id));
      }
    });
    expect(new Set(ids).size).toBe(count);

    await smtp.start();
    await withService({ folder, environment: place.environment }, async (service) => {
      await smtp.waitForNotifications(count, 150_000);
      const told = new Set(smtp.mails.map(({ notificationId }) => notificationId));
      expect(ids.filter((id) => !told.has(id))).toEqual([]);
      console.log(
        `500 accepted, all processes killed: ${smtp.mails.length} mails, ${smtp.duplicates().byNotification} repeats`,
      );
      await waitForStatus(new TocsinClient(service.http), ids[0]!, 'sent');
    });
  } finally {
    await smtp.stop();
  }
}

/** 1,000 alerts in 20 groups, everything killed inside groupWait: each alert is in a notification that arrives. */
async function groupsSurviveAKillInsideGroupWait(place: Place): Promise<void> {
  const smtp = await startSmtpServer();
  const folder = await newFolder();
  const configuration = mailOnly(smtp, '5s');
  const names = Array.from({ length: 1_000 }, (_, index) => `host-${String(index).padStart(4, '0')}`);
  try {
    await withService({ configuration, folder, environment: place.environment }, async (service) => {
      const alerts = names.map((instance, index) => ({ labels: { alertname: `Group${index % 20}`, instance } }));
      const answer = await new TocsinClient(service.http).post('/api/v1/alerts', alerts);
      expect(answer.status).toBe(202);
    });
    expect(smtp.mails).toHaveLength(0);

    await withService({ folder, environment: place.environment }, async () => {
      const untold = () => {
        const text = smtp.mails.map((mail) => mail.text).join('\n');
        return names.filter((name) => !text.includes(name));
      };
      await waitFor(() => untold().length === 0, {
        timeoutMs: 60_000,
        what: () => `all alerts to be told; ${untold().length} are not, in ${smtp.mails.length} mails`,
        pollMs: 200,
      });
    });
  } finally {
    await smtp.stop();
  }
}

/** 550: a dead letter with reason and attempts; mended and replayed: the mail arrives. 451: retried along the ladder, then sent. */
async function refusedMailsAreReviewedAndReplayed(place: Place): Promise<void> {
  const smtp = await startSmtpServer();
  const notification = { channel: 'email', target: { to: 'ops@example.com' }, subject: 'disk', text: 'full' };
  try {
    await withService({ configuration: mailOnly(smtp), environment: place.environment }, async (service) => {
      const client = new TocsinClient(service.http);
      const post = async () =>
        (await client.post<Named>('/api/v1/notifications', notification)).json.notifications[0]!.id;

      smtp.answerAll(550, '5.1.1 No such mailbox');
      const refused = await post();
      const dead = await waitForStatus(client, refused, 'dead');
      expect(dead.attempts).toMatchObject([{ outcome: 'permanent', providerCode: '550' }]);
      type Letters = { items: { id: string; reason: string; attempts: number }[] };
      const letters = await waitFor(
        async () => {
          const { items } = (await client.get<Letters>('/api/v1/dead-letters?channel=email', 'admin')).json;
          return items.length === 1 ? items : undefined;
        },
        { timeoutMs: 60_000, what: 'one dead letter' },
      );
      expect(letters[0]).toMatchObject({ reason: 'recipient', attempts: 1 });

      smtp.accept();
      const letter = encodeURIComponent(letters[0]!.id);
      expect((await client.post(`/api/v1/dead-letters/${letter}/replay`, {}, 'admin')).status).toBe(202);
      await waitForStatus(client, refused, 'sent');
      expect(smtp.mails.map(({ notificationId }) => notificationId)).toEqual([refused]);
      const replayed = await client.get<Letters>('/api/v1/dead-letters?status=replayed', 'admin');
      expect(replayed.json.items).toHaveLength(1);
      expect((await client.get<Letters>('/api/v1/dead-letters', 'admin')).json.items).toHaveLength(0);

      smtp.answerNext(451, '4.3.0 Try again later');
      const delayed = await post();
      const sent = await waitForStatus(client, delayed, 'sent');
      expect(sent.attempts).toMatchObject([{ outcome: 'retryable', providerCode: '451' }, { outcome: 'accepted' }]);
    });
  } finally {
    await smtp.stop();
  }
}

/** 60 notifications at once to one robot: no penalty, each one named in some message, mails meanwhile not delayed. */
async function aBurstToOneRobotIsDigested(place: Place): Promise<void> {
  const smtp = await startSmtpServer();
  const dingtalk = await startDingTalkSimulator({ robots: [ROBOT] });
  const configuration = mailAndRobot(smtp, dingtalk);
  try {
    await withService({ configuration, environment: place.environment }, async (service) => {
      const client = new TocsinClient(service.http);
      const subjects = Array.from({ length: 60 }, (_, index) => `burst number ${index + 100}`);
      const target = { token: ROBOT.token, secret: ROBOT.secret };
      const burst = subjects.map((subject) => ({ channel: 'dingtalk', target, subject, text: `text of ${subject}` }));
      const posted = await client.post<Named>('/api/v1/notifications', burst);
      expect(posted.status).toBe(202);
      const mail = { channel: 'email', target: { to: 'ops@example.com' }, subject: 'meanwhile', text: 'a mail' };
      await client.post('/api/v1/notifications', mail);
      await smtp.waitForMails(1, 60_000);
      // Sent while the robot's notifications still wait.
      expect(dingtalk.messages.length).toBeLessThanOrEqual(20);

      const ids = posted.json.notifications.map(({ id }) => id);
      for (const id of ids) await waitForStatus(client, id, 'sent', 120_000);
      expect(dingtalk.counts(ROBOT.token)).toMatchObject({ penalties: 0, throttled: 0 });
      const told = dingtalk.messages.map(({ title, text }) => `${title}\n${text}`).join('\n');
      expect(subjects.filter((subject) => !told.includes(subject))).toEqual([]);
      console.log(`60 at once to one robot: ${dingtalk.messages.length} messages, no penalty`);
    });
  } finally {
    await Promise.all([smtp.stop(), dingtalk.stop()]);
  }
}
