import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from '@jest/globals';
import {
  type App,
  isRunning,
  newFolder,
  removeFolder,
  type Service,
  type SmtpSimulator,
  startPostgresql,
  startService,
  startSmtpServer,
  TocsinClient,
  waitFor,
} from '#testing';
import * as stories from './stories.js';

const postgresql = await startPostgresql();

(postgresql === undefined ? describe.skip : describe)('on PostgreSQL', () => {
  const createDatabase = () => postgresql!.createDatabase();

  afterAll(() => postgresql?.stop());

  it('one service brings an alert to an inbox and a signed robot', async () => {
    await stories.alertReachesInboxAndRobot({ environment: { DATABASE_URL: await createDatabase() } });
  });

  it('one service loses no accepted notification when every process is killed', async () => {
    await stories.nothingIsLostWhenEverythingIsKilled({
      environment: { DATABASE_URL: await createDatabase() },
    });
  });

  it('separate processes lose nothing when the active dispatcher and a worker are killed', async () => {
    const smtp = await startSmtpServer();
    const cluster = await startCluster(smtp, await createDatabase());
    try {
      const client = new TocsinClient(cluster.api.http);
      const names = Array.from({ length: 1_000 }, (_, index) => `host-${String(index).padStart(4, '0')}`);
      for (let from = 0; from < names.length; from += 50) {
        // Each batch a group: it arrives while the ones before are being told.
        const batch = names.slice(from, from + 50);
        const alerts = batch.map((instance) => ({ labels: { alertname: `Group${from}`, instance } }));
        expect((await client.post('/api/v1/alerts', alerts)).status).toBe(202);
        if (from !== 500) continue;
        const active = await waitFor(() => activeOf(cluster.dispatchers), {
          timeoutMs: 30_000,
          what: 'an active dispatcher',
        });
        await Promise.all([active.kill(), cluster.workers[0]!.kill()]);
      }

      const untold = () => {
        const text = smtp.mails.map((mail) => mail.text).join('\n');
        return names.filter((name) => !text.includes(name));
      };
      // What the killed worker had claimed is taken over once its claim is a minute old.
      await waitFor(() => untold().length === 0, {
        timeoutMs: 120_000,
        what: () => `all alerts to be told; ${untold().length} are not, in ${smtp.mails.length} mails`,
        pollMs: 200,
      });
      const repeats = repeatedIds(smtp);
      const marked = await Promise.all(repeats.map((id) => isMarked(client, id)));
      console.log(`active dispatcher and a worker killed: ${smtp.mails.length} mails, ${repeats.length} repeated`);
      expect(marked.every(Boolean)).toBe(true);
      for (const service of cluster.running()) expect(await service.stop()).toBe(0);
    } finally {
      await cluster.kill();
      await smtp.stop();
    }
  });
});

interface Cluster {
  api: Service;
  dispatchers: Service[];
  workers: Service[];
  running(): Service[];
  kill(): Promise<void>;
}

/** Broker, api, two dispatchers and two workers, each a process of its own with its own folder, as on several machines. */
async function startCluster(smtp: SmtpSimulator, databaseUrl: string): Promise<Cluster> {
  const configuration = `
senders:
  email: { url: "${smtp.url}", from: "Tocsin <tocsin@example.com>" }
receivers:
  - name: ops
    targets: [{ channel: email, to: ops@example.com }]
route: { receiver: ops, groupBy: [alertname], groupWait: 1s, groupInterval: 1s }
`;
  const folders: string[] = [];
  const started: Service[] = [];
  const start = async (app: App, environment: Record<string, string>): Promise<Service> => {
    const folder = await newFolder();
    folders.push(folder);
    const service = await startService({ app, folder, configuration, environment });
    started.push(service);
    return service;
  };

  const broker = await start('broker', {});
  const environment = {
    BROKER_URL: broker.amqp,
    DATABASE_URL: databaseUrl,
    TOCSIN_SECRET_KEY: randomBytes(32).toString('base64'),
  };
  const dispatchers = [await start('dispatcher', environment), await start('dispatcher', environment)];
  const workers = [await start('worker', environment), await start('worker', environment)];
  const api = await start('api', environment);
  return {
    api,
    dispatchers,
    workers,
    // The broker last: the others drain into it.
    running: () => started.filter(({ pid }) => isRunning(pid)).reverse(),
    kill: async () => {
      for (const service of started) await service.kill();
      for (const folder of folders) await removeFolder(folder);
    },
  };
}

function activeOf(dispatchers: readonly Service[]): Service | undefined {
  return dispatchers.find((dispatcher) => dispatcher.output().includes('this dispatcher is active'));
}

function repeatedIds(smtp: SmtpSimulator): string[] {
  const ids = smtp.mails.map(({ notificationId }) => notificationId);
  return [...new Set(ids.filter((id, index) => ids.indexOf(id) !== index))];
}

async function isMarked(client: TocsinClient, id: string): Promise<boolean> {
  const { attempts } = await stories.notificationOf(client, id);
  return attempts.some(({ mayRepeat }) => mayRepeat);
}
