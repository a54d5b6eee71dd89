import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Credentials, NotReady, removeFolder, type Service, startService, TocsinClient } from '#testing';

interface Problem {
  title: string;
  detail: string;
  status: number;
}

describe('bad input', () => {
  let service: Service;
  let client: TocsinClient;

  beforeAll(async () => {
    service = await startService();
    client = new TocsinClient(service.http);
  }, 90_000);

  afterAll(async () => {
    expect(await service.stop()).toBe(0);
    await removeFolder(service.folder);
  });

  const alert = { labels: { alertname: 'A' } };
  const bigAlert = { labels: { alertname: 'A' }, annotations: { text: 'x'.repeat(9 * 1024 * 1024) } };
  const badToken: Credentials = { authorization: 'Bearer wrong' };
  it.each<[string, string, unknown, Credentials, number, RegExp]>([
    [
      'an unknown channel',
      'notifications',
      { channel: 'pigeon', target: {}, text: 'x' },
      'ingest',
      400,
      /pigeon.*email/s,
    ],
    ['a target without its field', 'notifications', { channel: 'email', target: {}, text: 'x' }, 'ingest', 400, /to/],
    ['one bad item among good ones', 'alerts', [alert, { labels: {} }], 'ingest', 400, /"index":1/],
    ['a bad token', 'alerts', alert, badToken, 401, /./],
    ['no token', 'alerts', alert, 'none', 401, /./],
    ['a body of 9 MB', 'alerts', bigAlert, 'ingest', 413, /8/],
    ['broken JSON', 'alerts', '{"labels": {', 'ingest', 400, /JSON/],
    ['too many items', 'alerts', Array(1_001).fill(alert), 'ingest', 400, /1,?000/],
  ])('answers %s clearly and stores nothing', async (_, path, body, credentials, status, says) => {
    const answer = await client.post<Problem>(`/api/v1/${path}`, body, credentials);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.text).toMatch(says);
  });

  it('names how to authenticate', async () => {
    const answer = await client.post('/api/v1/alerts', alert, 'none');
    expect(answer.headers.get('www-authenticate')).toMatch(/Bearer|Basic/);
  });

  it('has stored nothing of all that', async () => {
    const { json } = await client.get<unknown[]>('/api/v2/alerts', 'admin');
    expect(json).toEqual([]);
    expect((await client.get('/api/v1/notifications/nonsense')).status).toBe(404);
  });
});

describe('a bad start', () => {
  it('names an unknown key of tocsin.yaml, its line and the nearest key', async () => {
    const refused = await refusalOf({ configuration: 'receivers: []\nrecievers: []\n' });
    expect(refused.output).toMatch(/tocsin\.yaml:2.*recievers.*receivers/s);
  });

  it('says in one sentence that a port is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const { port } = holder.address() as { port: number };
    try {
      for (const variable of ['TOCSIN_HTTP_PORT', 'TOCSIN_AMQP_PORT', 'TOCSIN_MANAGEMENT_PORT']) {
        const refused = await refusalOf({ environment: { [variable]: String(port) } });
        expect(refused.output).toMatch(new RegExp(`${port}.*${variable}`));
        expect(refused.output).not.toMatch(/^\s+at /m);
      }
    } finally {
      holder.close();
    }
  });

  it('says that separate processes need PostgreSQL', async () => {
    for (const app of ['api', 'dispatcher', 'worker'] as const) {
      expect((await refusalOf({ app })).output).toContain('DATABASE_URL');
    }
  });
});

async function refusalOf(options: Parameters<typeof startService>[0]): Promise<NotReady> {
  const failure = await startService(options).then(
    async (service) => {
      await service.kill();
      throw new Error('it started');
    },
    (error) => error,
  );
  expect(failure).toBeInstanceOf(NotReady);
  expect((failure as NotReady).exit).toBe(1);
  return failure as NotReady;
}
