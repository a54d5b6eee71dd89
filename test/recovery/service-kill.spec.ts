import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import {
  childOf,
  type DingTalkSimulator,
  newFolder,
  removeFolder,
  type Service,
  startDingTalkSimulator,
  startService,
  startSmtpServer,
  startWebhookReceiver,
  TocsinClient,
} from '#testing';
import { killRounds, Random } from './random.js';
import { ServiceLoad } from './service-load.js';
import { Judge, type Providers, queuesLeft } from './verdict.js';

const ROUNDS = killRounds(4);
/** Typically one window of the robot's budget or the ladder's second rung; a third failure in the storms takes two minutes. */
const END_MS_MAX = ROUNDS <= 6 ? 240_000 : 900_000;
const ROUND_MS_MAX = 20_000;
const ROBOT = { token: 'robot-token', secret: 'SECrobot-secret' };
const ROBOT_POSTS_MAX = 24;

it(
  'brings everything accepted to its end while processes are killed and providers come and go',
  async () => {
    const random = new Random();
    console.log(`TOCSIN_SEED=${random.seed}`);
    const providers = {
      smtp: await startSmtpServer(),
      webhook: await startWebhookReceiver(),
      dingtalk: await startDingTalkSimulator({ robots: [ROBOT] }),
    };
    const stage = new Stage(random, await newFolder(), configurationFor(providers));
    await stage.start();
    const targets = { webhookUrl: `${providers.webhook.url}/direct`, robot: ROBOT, robotPostsMax: ROBOT_POSTS_MAX };
    const load = new ServiceLoad(random, targets, () => stage.client);
    const weather = new Weather(random, providers);
    const posting = load.run();
    const changing = weather.run();
    try {
      for (let round = 0; round < ROUNDS; round++) {
        await delay(random.between(300, 3_500));
        await stage.killSomething();
      }
      load.stop();
      await posting;
      weather.stop();
      await changing;
      await stage.start();

      const startedAt = performance.now();
      const judge = new Judge(stage.client!, providers);
      const { broken, figures } = await judge.judge(load.notifications, load.alerts, END_MS_MAX);
      const left = await queuesLeft(stage.service!.management);
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      const summary = { ...stage.kills, ...figures, unanswered: load.unanswered, secondsToTheEnd: seconds };
      console.log(`${ROUNDS} kills: ${JSON.stringify(summary)}`);
      expect(broken).toEqual([]);
      expect(left).toEqual({});
      expect(providers.dingtalk.counts(ROBOT.token)).toMatchObject({ penalties: 0 });
      expect(await stage.service!.stop()).toBe(0);
      await removeFolder(stage.folder);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n--- the service said ---\n${stage.said()}`, { cause: error });
    } finally {
      load.stop();
      weather.stop();
      await Promise.allSettled([posting, changing]);
      await stage.service?.kill();
      await Promise.all([providers.smtp.stop(), providers.webhook.stop(), providers.dingtalk.stop()]);
    }
  },
  60_000 + END_MS_MAX + ROUNDS * ROUND_MS_MAX,
);

/** What runs, and how it is killed and started again on the same folder. */
class Stage {
  service: Service | undefined;
  client: TocsinClient | undefined;
  readonly kills = { broker: 0, service: 0, group: 0, start: 0, gaveUp: 0 };
  readonly #said: string[] = [];

  constructor(
    private readonly random: Random,
    readonly folder: string,
    private readonly configuration: string,
  ) {}

  /** Does nothing when it runs. */
  async start(): Promise<void> {
    if (this.service !== undefined) return;
    if (this.random.chance(0.2)) await this.#killWhileStarting();
    const service = await startService({ folder: this.folder, configuration: this.configuration });
    this.service = service;
    this.client = new TocsinClient(service.http);
    void service.ended.then(() => {
      this.#said.push(service.output());
      if (this.service === service) [this.service, this.client] = [undefined, undefined];
    });
  }

  async killSomething(): Promise<void> {
    const { service } = this;
    // It gives up by itself when its broker was killed too often within a minute.
    if (service === undefined) {
      this.kills.gaveUp += 1;
      return this.start();
    }
    const victim = this.random.pick(['broker', 'service', 'group'] as const);
    this.kills[victim] += 1;
    if (victim === 'broker') {
      const broker = childOf(service.pid);
      if (broker !== undefined) process.kill(broker, 'SIGKILL');
      return;
    }
    if (victim === 'service') process.kill(service.pid, 'SIGKILL');
    else await service.kill();
    await service.ended;
    await delay(this.random.between(0, 1_500));
    await this.start();
  }

  said(): string {
    return [...this.#said, this.service?.output() ?? ''].join('\n--- then ---\n');
  }

  async #killWhileStarting(): Promise<void> {
    this.kills.start += 1;
    let kill: Promise<void> | undefined;
    const onSpawned = (pid: number) => {
      kill = delay(this.random.between(200, 2_500)).then(() => {
        process.kill(-pid, 'SIGKILL');
      });
    };
    const started = await startService({ folder: this.folder, onSpawned }).catch(() => undefined);
    await kill;
    await started?.ended;
  }
}

const STORM_MS_MAX = 2_000;
const CALM_MS_MAX = 3_000;

/** Providers that go away, refuse and hide their answers. Ends with all of them well. */
class Weather {
  #isOver = false;
  #hasLostAnswer = false;

  constructor(
    private readonly random: Random,
    private readonly providers: Providers,
  ) {}

  async run(): Promise<void> {
    while (!this.#isOver) {
      await delay(this.random.between(100, CALM_MS_MAX));
      await this.#storm(this.random.between(200, STORM_MS_MAX));
    }
  }

  stop(): void {
    this.#isOver = true;
  }

  async #storm(ms: number): Promise<void> {
    const { smtp, webhook, dingtalk } = this.providers;
    const storms = [
      () => away(smtp, ms),
      () => away(webhook, ms),
      async () => {
        smtp.answerAll(451, '4.3.0 Try again later');
        await delay(ms);
        smtp.accept();
      },
      async () => smtp.faultNext('drop-after-data'),
      async () => webhook.faultNext('reset'),
      async () => webhook.faultNext('hang'),
      async () => this.#loseOneAnswerOf(dingtalk),
    ];
    await this.random.pick(storms)();
  }

  /** Faults wait for requests, and the robot gets few: a second one would hit the retry of the first. */
  #loseOneAnswerOf(dingtalk: DingTalkSimulator): void {
    if (!this.#hasLostAnswer) dingtalk.faultNext('reset');
    this.#hasLostAnswer = true;
  }
}

async function away(provider: Pick<Providers['smtp'], 'stop' | 'start'>, ms: number): Promise<void> {
  await provider.stop();
  await delay(ms);
  await provider.start();
}

function configurationFor({ smtp, webhook, dingtalk }: Providers): string {
  return `
senders:
  email: { url: "${smtp.url}", from: "Tocsin <tocsin@example.com>" }
  dingtalk: { baseUrl: "${dingtalk.url}" }
  webhook: { timeout: 3s, allowPrivateAddresses: true }
receivers:
  - name: ops
    targets:
      - { channel: email, to: ops@example.com }
      - { channel: webhook, url: "${webhook.url}/alerts" }
route: { receiver: ops, groupBy: [alertname], groupWait: 0s, groupInterval: 1s }
`;
}
