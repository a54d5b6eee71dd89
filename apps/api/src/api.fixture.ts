import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Configuration, Settings } from '#config';
import type { DeadLetter, ReviewStore } from '#dispatch';
import { type OutgoingMessage, PublishError, type PublishErrorKind } from '#messaging';
import { targetKinds } from '#senders';
import { createLogger, Health, Metrics } from '#telemetry';
import type { ApiMessaging, ApiParts } from './api-parts.js';
import { buildApi } from './create-api.js';

export const TOKEN = 'ingest-token';
export const PASSWORD = 'admin-password';
export const BEARER = { authorization: `Bearer ${TOKEN}` };
export const BASIC = { authorization: `Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}` };
export const SECRET_KEY = Buffer.alloc(32, 7);

/** A broker that confirms what it is told, or answers as told. */
export class FakeMessaging implements ApiMessaging {
  isConnected = true;
  isBlocked = false;
  depth: number | undefined = 0;
  answer: 'confirmed' | 'unroutable' | PublishErrorKind = 'confirmed';
  fence: 'answered' | 'timeout' = 'answered';
  fences = 0;
  readonly published: OutgoingMessage[] = [];
  /** Called with each message before it is answered. */
  onPublish: (message: OutgoingMessage) => Promise<void> | void = () => undefined;

  async publish(message: OutgoingMessage) {
    await this.onPublish(message);
    if (this.answer !== 'confirmed' && this.answer !== 'unroutable') {
      throw new PublishError(this.answer, `publish refused: ${this.answer}`, false);
    }
    if (this.answer === 'confirmed') this.published.push(message);
    return this.answer;
  }

  async request() {
    this.fences += 1;
    return this.fence === 'answered'
      ? { result: 'answered' as const, body: Buffer.alloc(0), headers: {} }
      : { result: 'timeout' as const };
  }

  async queueDepth() {
    return this.depth;
  }
}

/** A database of what a test puts in. */
export class FakeReview implements ReviewStore {
  readonly letters = new Map<string, DeadLetter>();
  unfinished: { letter: DeadLetter; attempt: number }[] = [];
  audit: string[] = [];
  findNotification: ReviewStore['findNotification'] = async () => undefined;
  alertTimeline: ReviewStore['alertTimeline'] = async () => [];
  alerts: ReviewStore['alerts'] = async () => [];
  addDeadLetters: ReviewStore['addDeadLetters'] = async () => undefined;

  async deadLetters({ status = 'open', reason, channel }: Parameters<ReviewStore['deadLetters']>[0]) {
    const items = [...this.letters.values()].filter(
      (letter) =>
        letter.status === status &&
        (reason ?? letter.reason) === letter.reason &&
        (channel ?? letter.channel) === letter.channel,
    );
    return { items, nextCursor: undefined };
  }

  async findDeadLetter(id: string) {
    return this.letters.get(id);
  }

  async beginReplay(id: string, by: string) {
    const letter = this.letters.get(id);
    if (letter?.status !== 'open') return undefined;
    letter.status = 'replaying';
    this.audit.push(`replay ${id} by ${by}`);
    return { letter, attempt: letter.attempts + 1 };
  }

  async endReplay(id: string, result: 'replayed' | 'open') {
    this.audit.push(`${result} ${id}`);
    const letter = this.letters.get(id);
    if (letter) letter.status = result;
  }

  async unfinishedReplays() {
    return this.unfinished.splice(0);
  }

  async discard(id: string, by: string) {
    const letter = this.letters.get(id);
    if (letter?.status !== 'open') return false;
    letter.status = 'discarded';
    this.audit.push(`discard ${id} by ${by}`);
    return true;
  }
}

export function aDeadLetter(fields: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id: 'n1/5',
    notificationId: 'n1',
    channel: 'email',
    targetKey: 'email:ops@example.com',
    reason: 'recipient',
    attempts: 1,
    failedAt: 1_000,
    payload: JSON.stringify({ id: 'n1', target: { to: 'ops@example.com', token: 'sealed:v1:AAAA' } }),
    detail: '550 no such user',
    status: 'open',
    target: { to: 'ops@example.com' },
    resolvedAt: undefined,
    ...fields,
  };
}

export function someSettings(configuration: Partial<Configuration> = {}): Settings {
  return {
    host: '127.0.0.1',
    httpPort: 0,
    amqpPort: 0,
    managementPort: 0,
    dataDirectory: '/nowhere',
    brokerUrl: undefined,
    databaseUrl: undefined,
    ingestToken: TOKEN,
    adminPassword: PASSWORD,
    secretKey: SECRET_KEY,
    configuration: {
      senders: {},
      receivers: [
        { name: 'ops', targets: [] },
        { name: 'oncall', targets: [] },
      ],
      route: {
        receiver: 'ops',
        groupBy: ['alertname'],
        groupWaitMs: 0,
        groupIntervalMs: 5_400_000,
        repeatIntervalMs: 14_400_000,
        matchers: [],
        continue: false,
        routes: [
          {
            receiver: 'oncall',
            groupBy: ['alertname'],
            groupWaitMs: 0,
            groupIntervalMs: 300_000,
            repeatIntervalMs: 14_400_000,
            matchers: ['severity="critical"'],
            continue: true,
            routes: [],
          },
        ],
      },
      inhibitRules: [],
      resolveTimeoutMs: 300_000,
      dispatchLagMax: 100,
      worker: { channels: 1, consumersPerChannel: 1, prefetch: 1 },
      retentionMs: 3_600_000,
      ...configuration,
    },
  };
}

export interface TestApi extends ApiParts {
  app: NestFastifyApplication;
  messaging: FakeMessaging;
  review: FakeReview;
}

/** An api over fakes, not listening: use `app.inject`. */
export async function startTestApi(overrides: Partial<ApiParts> = {}): Promise<TestApi> {
  const parts = {
    settings: someSettings(),
    messaging: new FakeMessaging(),
    review: new FakeReview(),
    targetKinds,
    logger: createLogger({ name: 'api', level: 'silent' }),
    metrics: new Metrics({ withProcess: false }),
    health: new Health(),
    ...overrides,
  };
  const app = await buildApi(parts);
  return { ...parts, app } as TestApi;
}
