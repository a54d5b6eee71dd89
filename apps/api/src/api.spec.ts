import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createNotificationId,
  fingerprint,
  idFromKey,
  idOfDigest,
  normaliseAlert,
  openTarget,
  originOfNotificationId,
} from '#dispatch';
import { PublishError } from '#messaging';
import { aDeadLetter, BASIC, BEARER, SECRET_KEY, someSettings, startTestApi, type TestApi } from './api.fixture.js';
import { BODY_BYTES_MAX } from './body/json-body.js';
import { createApi } from './create-api.js';
import { Load } from './intake/load.js';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.app.close());

const ALERT = { labels: { alertname: 'HighCPU', instance: 'web-1:9100', severity: 'critical' } };
const MAIL = { channel: 'email', target: { to: 'ops@example.com' }, text: 'hello' };

async function post(url: string, body: unknown, headers: Record<string, string> = BEARER) {
  const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const answer = await api.app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.body,
    body: answer.body === '' ? undefined : answer.json(),
  };
}

async function get(url: string, headers: Record<string, string> = BASIC) {
  const answer = await api.app.inject({ method: 'GET', url, headers });
  return { status: answer.statusCode, headers: answer.headers, text: answer.body, body: () => answer.json() };
}

function publishedAlerts(): Record<string, unknown>[] {
  return api.messaging.published.flatMap(({ body }) => JSON.parse(String(body)));
}

describe('POST /api/v1/alerts', () => {
  it('answers 202 with fingerprints after one confirmed message', async () => {
    const { status, body } = await post('/api/v1/alerts', [ALERT, { labels: { alertname: '磁盘', host: 'a' } }]);
    expect(status).toBe(202);
    expect(body).toEqual({
      accepted: 2,
      alerts: [{ fingerprint: 'cc6e49118c0ea32b' }, { fingerprint: '5e370df191b1727e' }],
    });
    expect(api.messaging.published).toMatchObject([{ exchange: 'alerts', routingKey: 'alert', type: 'alerts' }]);
  });

  it('says when it accepted them, whichever way they came', async () => {
    const acceptedAt = Date.now() - 5_000;
    await api.app.close();
    api = await startTestApi({ now: () => acceptedAt });
    await post('/api/v1/alerts', ALERT);
    await post('/api/v2/alerts', [ALERT]);
    await post('/hooks/alertmanager', { version: '4', groupKey: '{}:{}', alerts: [{ ...ALERT, status: 'firing' }] });
    const headers = { acceptedAt: new Date(acceptedAt).toISOString() };
    expect(api.messaging.published).toMatchObject([{ headers }, { headers }, { headers }]);
  });

  it('takes a single object, drops empty labels and fills in the start', async () => {
    const { body } = await post('/api/v1/alerts', { labels: { a: 'b', c: '' } });
    expect(body).toEqual({ accepted: 1, alerts: [{ fingerprint: fingerprint({ a: 'b' }) }] });
    expect(publishedAlerts()).toEqual([
      { labels: { a: 'b' }, annotations: {}, startsAt: expect.any(String), generatorURL: '' },
    ]);
  });

  it('does not answer before the broker has confirmed', async () => {
    let confirm = () => {};
    let isPublished = () => {};
    const publishing = new Promise<void>((resolve) => {
      isPublished = resolve;
    });
    api.messaging.onPublish = () => {
      isPublished();
      return new Promise<void>((resolve) => {
        confirm = resolve;
      });
    };
    let isAnswered = false;
    const answer = post('/api/v1/alerts', ALERT).then((given) => {
      isAnswered = true;
      return given;
    });
    await publishing;
    expect(isAnswered).toBe(false);
    confirm();
    expect((await answer).status).toBe(202);
  });

  it('is all or nothing, and names each bad item', async () => {
    const { status, headers, body } = await post('/api/v1/alerts', [
      ALERT,
      {},
      { labels: { a: 1 } },
      { labels: { a: 'b' }, startsAt: 'yesterday' },
      { labels: { a: 'b' }, annotation: {} },
      'x',
    ]);
    expect(status).toBe(400);
    expect(headers['content-type']).toContain('application/problem+json');
    expect(body).toMatchObject({
      type: 'urn:tocsin:invalid-request',
      status: 400,
      errorCount: 5,
      errors: [
        { index: 1, field: 'labels' },
        { index: 2, field: 'labels.a' },
        { index: 3, field: 'startsAt' },
        {
          index: 4,
          field: 'annotation',
          message: 'is unknown; known: labels, annotations, startsAt, endsAt, generatorURL',
        },
        { index: 5, field: '' },
      ],
    });
    expect(api.messaging.published).toEqual([]);
  });

  it.each([
    ['an empty array', []],
    ['more than 1000 items', Array.from({ length: 1_001 }, () => ALERT)],
  ])('refuses %s', async (_name, body) => {
    expect((await post('/api/v1/alerts', body)).status).toBe(400);
  });

  it('splits what is larger than a message may be, and keeps every alert', async () => {
    const alerts = Array.from({ length: 30 }, (_, n) => ({
      labels: { n: String(n) },
      annotations: { text: 'x'.repeat(100_000) },
    }));
    expect((await post('/api/v1/alerts', alerts)).status).toBe(202);
    expect(api.messaging.published.length).toBe(3);
    expect(publishedAlerts().map(({ labels }) => labels)).toEqual(alerts.map(({ labels }) => labels));
  });
});

describe('what is refused', () => {
  it.each([
    ['{"labels":{"a":"b"},}', 'line 1, column 21'],
    ['[\n{"labels": tru}]', 'line 2, column 15'],
    ['[1,2', 'line 1, column 5'],
    ['', 'the body is empty'],
  ])('broken JSON %j: 400 with the place', async (body, place) => {
    const answer = await post('/api/v1/alerts', body);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(place);
  });

  it('a body that is not UTF-8: 400', async () => {
    const { status, body } = await post('/api/v1/alerts', Buffer.from([0x22, 0xff, 0x22]));
    expect([status, body.detail]).toEqual([400, 'the body is not UTF-8']);
  });

  it('another content type: 415 that says what to send', async () => {
    const { status, body } = await post('/api/v1/alerts', 'a=b', {
      ...BEARER,
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect([status, body.type]).toEqual([415, 'urn:tocsin:unsupported-media-type']);
    expect(body.detail).toContain('Content-Type: application/json');
  });

  it('a body above 8 MiB: 413', async () => {
    const { status, body } = await post('/api/v1/alerts', ' '.repeat(BODY_BYTES_MAX + 1));
    expect([status, body.type]).toEqual([413, 'urn:tocsin:too-large']);
  });

  it('an unknown path: 404; a known one with another method: 405 and Allow', async () => {
    expect((await get('/api/v1/nothing')).status).toBe(404);
    const { status, headers } = await get('/api/v1/alerts');
    expect([status, headers['allow']]).toEqual([405, 'POST']);
  });

  it.each([
    ['no credentials', {}],
    ['a wrong token', { authorization: 'Bearer wrong' }],
    ['a wrong password', { authorization: `Basic ${Buffer.from('admin:wrong').toString('base64')}` }],
    ['another user', { authorization: `Basic ${Buffer.from('root:admin-password').toString('base64')}` }],
    ['the token as a password', { authorization: `Basic ${Buffer.from('admin:ingest-token').toString('base64')}` }],
  ])('%s: 401 with a challenge, nothing published', async (_name, headers) => {
    const answer = await post('/api/v1/alerts', ALERT, headers);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="tocsin", Basic realm="tocsin", charset="UTF-8"');
    expect(answer.text).not.toContain('ingest-token');
    expect(api.messaging.published).toEqual([]);
  });

  it('the ingest token on administration: 403', async () => {
    expect((await get('/api/v1/dead-letters', BEARER)).status).toBe(403);
  });

  it('alerts that no queue takes: 500 of their own', async () => {
    api.messaging.answer = 'unroutable';
    const { status, body } = await post('/api/v1/alerts', ALERT);
    expect([status, body.type]).toEqual([500, 'urn:tocsin:unroutable']);
    expect(body.detail).toContain("exchange 'alerts' has no queue for key 'alert'");
  });

  it.each(['disconnected', 'nacked', 'blocked', 'overloaded'] as const)(
    'a publish that is %s: 503 with Retry-After',
    async (kind) => {
      api.messaging.answer = kind;
      const { status, headers } = await post('/api/v1/alerts', ALERT);
      expect([status, headers['retry-after']]).toEqual([503, '5']);
    },
  );

  it.each([
    ['the broker is away', { isConnected: false }],
    ['the broker is blocked', { isBlocked: true }],
    ['the dispatcher lags behind', { depth: 101 }],
  ])('intake while %s: 503 with Retry-After', async (_name, state) => {
    Object.assign(api.messaging, state);
    await api.app.get(Load).look();
    const { status, headers } = await post('/api/v1/alerts', ALERT);
    expect([status, headers['retry-after']]).toEqual([503, '5']);
    expect((await get('/api/v2/receivers')).status).toBe(200);
  });

  it('intake beyond the bytes that may be under way: 503, until those are answered', async () => {
    const answers: (() => void)[] = [];
    api.messaging.onPublish = () => new Promise<void>((resolve) => void answers.push(resolve));
    const first = post('/api/v1/alerts', ALERT, { ...BEARER, 'content-length': String(JSON.stringify(ALERT).length) });
    const load = api.app.get(Load) as unknown as { bytes: number; requests: number };
    while (answers.length === 0) await new Promise(setImmediate);
    expect(load).toMatchObject({ requests: 1, bytes: JSON.stringify(ALERT).length });
    load.requests += 999;
    expect((await post('/api/v1/alerts', ALERT)).status).toBe(503);
    load.requests -= 999;
    for (const answer of answers) answer();
    expect((await first).status).toBe(202);
    expect(load).toMatchObject({ requests: 0, bytes: 0 });
  });

  it('a fault of our own: 500 without its text', async () => {
    api.review.alerts = () => Promise.reject(new Error('secret detail'));
    const { status, text } = await get('/api/v2/alerts');
    expect(status).toBe(500);
    expect(text).not.toContain('secret detail');
  });
});

describe('POST /api/v2/alerts, as an Alertmanager', () => {
  it('answers 200 and nothing', async () => {
    const { status, text, headers } = await post('/api/v2/alerts', [ALERT]);
    expect([status, text, headers['cache-control']]).toEqual([200, '', 'no-store']);
    expect(publishedAlerts()).toHaveLength(1);
  });

  it('stores the valid ones, and names the rest in a JSON string', async () => {
    const { status, body } = await post('/api/v2/alerts', [
      ALERT,
      { labels: {} },
      { labels: { a: 'b' }, status: 'unknown fields are ignored' },
    ]);
    expect(status).toBe(400);
    expect(body).toMatch(/^alert 1: labels must hold/);
    expect(publishedAlerts()).toHaveLength(2);
  });

  it.each([
    ['as it came', '', 'x', 1],
    ['encoded anew behind a byte order mark', '\ufeff', 'x', 1],
    ['in several messages when it is long', '', 'x'.repeat(600_000), 2],
  ])('passes a good body on %s, and the dispatcher reads the same', async (_how, mark, text, messages) => {
    const now = Date.now();
    const posted = {
      labels: { a: 'b', empty: '' },
      annotations: { text },
      endsAt: new Date(now + 1_000).toISOString(),
    };
    await api.app.close();
    api = await startTestApi({ now: () => now });
    expect((await post('/api/v2/alerts', `${mark}${JSON.stringify([posted, posted])}`)).status).toBe(200);
    expect(api.messaging.published).toHaveLength(messages);
    const alert = { labels: { a: 'b' }, annotations: { text }, startsAt: now, endsAt: now + 1_000, generatorURL: '' };
    const read = publishedAlerts().map((item: unknown) => normaliseAlert(item, { now, resolveTimeoutMs: 300_000 }));
    expect(read).toMatchObject([{ alert }, { alert }]);
  });

  it('takes ten thousand alerts, not one more', async () => {
    const alerts = Array.from({ length: 10_000 }, (_, n) => ({ labels: { n: String(n) } }));
    expect((await post('/api/v2/alerts', alerts)).status).toBe(200);
    expect((await post('/api/v2/alerts', [...alerts, ALERT])).status).toBe(400);
  });

  it.each([
    ['broken JSON', 400, () => post('/api/v2/alerts', '[')],
    ['another content type', 415, () => post('/api/v2/alerts', '<a/>', { ...BEARER, 'content-type': 'text/xml' })],
    ['no credentials', 401, () => post('/api/v2/alerts', [], { authorization: '' })],
  ])('%s: %i as code and message', async (_name, status, ask) => {
    const answer = await ask();
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ code: status, message: expect.any(String) });
  });

  it('a wrong method: 405 as code and message, with Allow', async () => {
    const answer = await api.app.inject({ method: 'DELETE', url: '/api/v2/alerts', headers: BEARER });
    expect([answer.statusCode, answer.headers['allow']]).toEqual([405, 'GET, HEAD, POST']);
    expect(answer.json()).toEqual({ code: 405, message: expect.any(String) });
  });
});

describe('reading as amtool does', () => {
  const now = Date.now();
  const alert = (
    labels: Record<string, string>,
    { endsAt, updatedAt } = { endsAt: now + 3_600_000, updatedAt: now },
  ) => ({
    fingerprint: fingerprint(labels),
    labels,
    annotations: {},
    startsAt: now - 1_000,
    endsAt,
    endsAtIsTimeout: false,
    generatorURL: '',
    updatedAt,
  });

  beforeEach(() => {
    api.review.alerts = async () => [
      alert({ alertname: 'A', severity: 'critical' }),
      // Refreshed in memory only: it fires, whatever its stored end says.
      alert({ alertname: 'B' }, { endsAt: now - 600_000, updatedAt: now - 900_000 }),
      alert({ alertname: 'C' }, { endsAt: now - 1, updatedAt: now - 1 }),
    ];
  });

  it('never shows a past end for what fires', async () => {
    const ends = (await get('/api/v2/alerts')).body().map(({ endsAt }: { endsAt: string }) => Date.parse(endsAt));
    expect(ends).toHaveLength(2);
    expect(Math.min(...ends)).toBeGreaterThan(now);
  });

  it.each([
    ['', ['A', 'B']],
    ['?filter=severity%3D%22critical%22', ['A']],
    ['?filter=alertname%3D~%22A%7CB%22&filter=severity%3D%22%22', ['B']],
    ['?receiver=on.*', ['A']],
    ['?active=false', []],
  ])('GET /api/v2/alerts%s', async (query, names) => {
    const { status, body } = await get(`/api/v2/alerts${query}`, BEARER);
    expect(status).toBe(200);
    expect(body().map(({ labels }: { labels: Record<string, string> }) => labels['alertname'])).toEqual(names);
  });

  it('names receivers and gives every list', async () => {
    expect((await get('/api/v2/alerts')).body()[0]).toMatchObject({
      fingerprint: fingerprint({ alertname: 'A', severity: 'critical' }),
      receivers: [{ name: 'oncall' }],
      status: { state: 'active', silencedBy: [], inhibitedBy: [], mutedBy: [] },
    });
  });

  it('answers a bad matcher with 400 and a JSON string', async () => {
    const { status, body } = await get('/api/v2/alerts?filter=%21%21');
    expect(status).toBe(400);
    expect(body()).toMatch(/^matcher '!!'/);
  });

  it('shows routes and receivers in Alertmanager YAML, without targets', async () => {
    const { config, cluster } = (await get('/api/v2/status')).body();
    expect(cluster.status).toBe('disabled');
    expect(config.original).toBe(
      [
        'global:',
        '  resolve_timeout: 5m',
        'route:',
        '  receiver: ops',
        '  group_by:',
        '    - alertname',
        '  group_wait: 0s',
        '  group_interval: 1h30m',
        '  repeat_interval: 4h',
        '  routes:',
        '    - receiver: oncall',
        '      group_by:',
        '        - alertname',
        '      matchers:',
        '        - severity="critical"',
        '      continue: true',
        '      group_wait: 0s',
        '      group_interval: 5m',
        '      repeat_interval: 4h',
        'receivers:',
        '  - name: ops',
        '  - name: oncall',
        '',
      ].join('\n'),
    );
  });
});

describe('POST /hooks/alertmanager', () => {
  const webhook = (...alerts: object[]) => ({ version: '4', groupKey: '{}', status: 'firing', alerts });

  it('takes each alert by its own status', async () => {
    const { status, body } = await post(
      '/hooks/alertmanager',
      webhook(
        {
          ...ALERT,
          status: 'firing',
          startsAt: '2026-01-02T15:04:05.123456789Z',
          endsAt: '0001-01-01T00:00:00Z',
          fingerprint: 'cc6e49118c0ea32b',
        },
        {
          labels: { a: 'b' },
          status: 'resolved',
          startsAt: '2026-01-02T15:04:05+08:00',
          endsAt: '2026-01-02T16:04:05+08:00',
        },
        { labels: { c: 'd' }, status: 'resolved', endsAt: '0001-01-01T00:00:00Z' },
      ),
    );
    expect([status, body.accepted]).toEqual([202, 3]);
    const [firing, resolved, resolvedNow] = publishedAlerts() as { startsAt: string; endsAt: string }[];
    expect(firing!.startsAt).toBe('2026-01-02T15:04:05.123Z');
    expect(Date.parse(firing!.endsAt)).toBeGreaterThan(Date.now() + 4 * 3_600_000);
    expect(resolved!.endsAt).toBe('2026-01-02T08:04:05.000Z');
    expect(Date.parse(resolvedNow!.endsAt)).toBeLessThanOrEqual(Date.now());
  });

  it.each([
    ['another version', { version: '1', alerts: [] }, 'version'],
    ['a status it does not know', webhook({ ...ALERT, status: 'odd' }), 'status'],
    ['an alert without labels', webhook({ status: 'firing' }), 'labels'],
  ])('refuses %s', async (_name, body, field) => {
    const answer = await post('/hooks/alertmanager', body);
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0].field).toBe(field);
  });
});

describe('notifications', () => {
  it('are published to their channel as attempt 1, with secrets sealed', async () => {
    const target = { token: 'robot-token', secret: 'SECsecret' };
    const { status, body } = await post('/api/v1/notifications', {
      channel: 'dingtalk',
      target,
      text: 'hello',
      subject: 'hi',
    });
    expect(status).toBe(202);
    const [message] = api.messaging.published;
    expect(message).toMatchObject({ exchange: 'notifications', routingKey: 'dingtalk', headers: { attempt: 1 } });
    expect(String(message!.body)).not.toMatch(/robot-token|SECsecret/);
    const envelope = JSON.parse(String(message!.body));
    expect(envelope).toMatchObject({
      version: 1,
      id: body.notifications[0].id,
      severity: 'info',
      content: { kind: 'text', subject: 'hi', text: 'hello' },
    });
    expect(openTarget(envelope.target, ['token', 'secret'], SECRET_KEY)).toEqual(target);
    expect(originOfNotificationId(SECRET_KEY, envelope.id)).toMatchObject({ madeBy: 'time' });
  });

  it('have the same id for the same key, and another without', async () => {
    const ids = [];
    for (const idempotencyKey of ['k', 'k', 'l', undefined, undefined]) {
      ids.push((await post('/api/v1/notifications', { ...MAIL, idempotencyKey })).body.notifications[0].id);
    }
    expect(ids[0]).toBe(ids[1]);
    expect(new Set(ids).size).toBe(4);
  });

  it.each([
    [
      'an unknown channel',
      { ...MAIL, channel: 'pigeon' },
      'channel',
      "'pigeon' is unknown; known: email, sms, voice, wecom, wechat, dingtalk, webhook",
    ],
    [
      'no channel',
      { ...MAIL, channel: undefined },
      'channel',
      'must be one of email, sms, voice, wecom, wechat, dingtalk, webhook',
    ],
    ['no text', { ...MAIL, text: undefined }, 'text', 'is missing'],
    ['too much text', { ...MAIL, text: '界'.repeat(87_382) }, 'text', 'has at most 262144 bytes'],
    [
      'an unknown field',
      { ...MAIL, txt: 'x' },
      'txt',
      'is unknown; known: channel, target, subject, text, severity, idempotencyKey',
    ],
    ['an unknown severity', { ...MAIL, severity: 'high' }, 'severity', 'must be one of critical, error, warning, info'],
    ['no object', 5, '', 'must be an object with channel, target and text'],
    [
      'a field the target does not have',
      { ...MAIL, target: { to: 'a@example.com', x: 1 } },
      'target.x',
      'unknown field',
    ],
  ])('refuse %s', async (_name, item, field, message) => {
    const { status, body } = await post('/api/v1/notifications', [MAIL, item]);
    expect(status).toBe(400);
    expect(body.errors).toEqual([{ index: 1, field, message }]);
    expect(api.messaging.published).toEqual([]);
  });

  it('refuse the same key twice in one request', async () => {
    const { body } = await post('/api/v1/notifications', [
      { ...MAIL, idempotencyKey: 'k' },
      { ...MAIL, idempotencyKey: 'k' },
    ]);
    expect(body.errors).toEqual([{ index: 1, field: 'idempotencyKey', message: 'is that of item 0' }]);
  });

  it('tell which ones are stored when others are not', async () => {
    let publishes = 0;
    api.messaging.onPublish = () => {
      publishes += 1;
      if (publishes > 1) throw new PublishError('nacked', 'the broker refused the message', false);
    };
    const { status, body } = await post('/api/v1/notifications', [MAIL, MAIL, MAIL]);
    expect(status).toBe(503);
    expect(body.detail).toMatch(/^2 of 3 notifications are not confirmed/);
    expect(body.stored).toHaveLength(1);
  });
});

describe('GET /api/v1/notifications/{id}', () => {
  const idMadeAt = (time: number) => createNotificationId(SECRET_KEY, { time, random: Buffer.alloc(10) });
  const id = idMadeAt(Date.now());

  it('answers queued for an id of ours that has no row yet', async () => {
    const { status, body } = await get(`/api/v1/notifications/${id}`, BEARER);
    expect([status, body()]).toEqual([200, { id, status: 'queued', attempts: [] }]);
  });

  it('answers 404 for an id of ours whose row the retention has dropped', async () => {
    const { retentionMs } = api.settings.configuration;
    const { status, body } = await get(`/api/v1/notifications/${idMadeAt(Date.now() - retentionMs)}`);
    expect(status).toBe(404);
    expect(body().detail).toContain('retention');
    // Of a flush or digest the row is there before the id is.
    expect((await get(`/api/v1/notifications/${idOfDigest(SECRET_KEY, ['a', 'b'])}`)).status).toBe(404);
  });

  it('answers queued for the id of an idempotency key, which does not tell its age', async () => {
    const ofKey = idFromKey(SECRET_KEY, 'token', 'key');
    expect((await get(`/api/v1/notifications/${ofKey}`)).body()).toMatchObject({ id: ofKey, status: 'queued' });
  });

  it('answers 404 for any other, without asking the database', async () => {
    api.review.findNotification = () => Promise.reject(new Error('asked'));
    expect((await get(`/api/v1/notifications/${'0'.repeat(39)}`)).status).toBe(404);
    expect((await get('/api/v1/notifications/x')).status).toBe(404);
  });

  it('shows status and attempts', async () => {
    api.review.findNotification = async () => ({
      id,
      channel: 'email',
      status: 'retrying',
      reason: undefined,
      via: undefined,
      receiver: 'ops',
      groupKey: undefined,
      createdAt: 1_000,
      attempts: [
        {
          number: 1,
          at: 2_000,
          outcome: 'retryable',
          reason: 'provider-busy',
          providerCode: '451',
          providerMessage: 'later',
          durationMs: 5,
          mayRepeat: false,
        },
      ],
    });
    expect((await get(`/api/v1/notifications/${id}`)).body()).toEqual({
      id,
      channel: 'email',
      status: 'retrying',
      receiver: 'ops',
      createdAt: '1970-01-01T00:00:01.000Z',
      attempts: [
        {
          number: 1,
          at: '1970-01-01T00:00:02.000Z',
          outcome: 'retryable',
          reason: 'provider-busy',
          providerCode: '451',
          providerMessage: 'later',
          durationMs: 5,
          mayRepeat: false,
        },
      ],
    });
  });

  it('shows why nothing was sent', async () => {
    const suppressed = { id, channel: 'email', status: 'suppressed', reason: 'expired', createdAt: 1_000 } as const;
    const unset = { via: undefined, receiver: undefined, groupKey: undefined, attempts: [] };
    api.review.findNotification = async () => ({ ...suppressed, ...unset });
    const answer = (await get(`/api/v1/notifications/${id}`)).body();
    expect(answer).toMatchObject({ status: 'suppressed', reason: 'expired' });
  });

  it('sends one fence after something was accepted, and none when nothing was since', async () => {
    await get(`/api/v1/notifications/${id}`);
    expect(api.messaging.fences).toBe(0);
    await post('/api/v1/alerts', ALERT);
    const { headers } = await get(`/api/v1/notifications/${id}`);
    await get(`/api/v1/notifications/${id}`);
    expect(api.messaging.fences).toBe(1);
    expect(headers['tocsin-behind']).toBeUndefined();
  });

  it('says that it may be behind when the fence is not answered', async () => {
    api.messaging.fence = 'timeout';
    await post('/api/v1/alerts', ALERT);
    expect((await get(`/api/v1/notifications/${id}`)).headers['tocsin-behind']).toBe('timeout');
  });
});

describe('an alert timeline', () => {
  it('tells what happened, in order', async () => {
    api.review.alertTimeline = async () => [{ at: 1_000, kind: 'received', detail: { by: 'api' } }];
    expect((await get('/api/v1/alerts/cc6e49118c0ea32b/timeline')).body()).toEqual({
      fingerprint: 'cc6e49118c0ea32b',
      timeline: [{ at: '1970-01-01T00:00:01.000Z', kind: 'received', detail: { by: 'api' } }],
    });
  });

  it('of an unknown alert, or of no fingerprint, is a 404', async () => {
    expect((await get('/api/v1/alerts/cc6e49118c0ea32b/timeline')).status).toBe(404);
    expect((await get('/api/v1/alerts/x/timeline')).status).toBe(404);
  });
});

describe('dead letters', () => {
  it('are listed without secrets', async () => {
    api.review.letters.set('n1/5', aDeadLetter());
    const { body, text } = await get('/api/v1/dead-letters?channel=email&limit=10');
    expect(body()).toMatchObject({
      nextCursor: null,
      items: [
        {
          id: 'n1/5',
          reason: 'recipient',
          failedAt: '1970-01-01T00:00:01.000Z',
          payload: { target: { token: '***' } },
        },
      ],
    });
    expect(text).not.toContain('sealed:');
  });

  it('refuse a query they do not know', async () => {
    expect((await get('/api/v1/dead-letters?chanel=email')).status).toBe(400);
    expect((await get('/api/v1/dead-letters?limit=0')).status).toBe(400);
    api.review.deadLetters = () => Promise.reject(new RangeError('the cursor is not one that a page answered'));
    expect((await get('/api/v1/dead-letters?cursor=x')).status).toBe(400);
  });

  it('are published again as the next attempt, past those that wait, then marked', async () => {
    api.review.letters.set('n1/5', aDeadLetter({ attempts: 5 }));
    const { status, body } = await post('/api/v1/dead-letters/n1%2F5/replay', {}, BASIC);
    expect([status, body]).toEqual([202, { id: 'n1/5', status: 'replayed' }]);
    expect(api.messaging.published).toMatchObject([
      {
        exchange: 'notifications',
        routingKey: 'email',
        headers: { attempt: 6, released: true },
        body: aDeadLetter().payload,
      },
    ]);
    expect(api.review.audit).toEqual(['replay n1/5 by admin@127.0.0.1', 'replayed n1/5']);
  });

  it('stay open when the broker does not take them', async () => {
    api.review.letters.set('a', aDeadLetter({ id: 'a' }));
    api.messaging.answer = 'disconnected';
    expect((await post('/api/v1/dead-letters/a/replay', {}, BASIC)).status).toBe(503);
    expect(api.review.letters.get('a')!.status).toBe('open');
  });

  it('go on being published while it is in doubt whether the broker has them', async () => {
    api.review.letters.set('a', aDeadLetter({ id: 'a' }));
    api.messaging.onPublish = () => {
      throw new PublishError('disconnected', 'no confirm', true);
    };
    const { status, body } = await post('/api/v1/dead-letters/a/replay', {}, BASIC);
    expect([status, body.status]).toEqual([202, 'replaying']);
    expect(api.review.letters.get('a')!.status).toBe('replaying');
  });

  it('that could not be parsed go through the dispatcher again, as they came, once they can be', async () => {
    const raw = (id: string, body: string) =>
      api.review.letters.set(
        id,
        aDeadLetter({ id, reason: 'unparseable', channel: undefined, payload: Buffer.from(body).toString('base64') }),
      );
    raw('a', '{"labels":{"a":"b"}}');
    raw('b', '{broken');
    raw('c', '[{"labels":{}}]');
    expect((await post('/api/v1/dead-letters/a/replay', {}, BASIC)).status).toBe(202);
    expect(api.messaging.published).toMatchObject([
      { exchange: 'alerts', routingKey: 'alert', body: Buffer.from('{"labels":{"a":"b"}}') },
    ]);
    for (const id of ['b', 'c']) {
      const { status, body } = await post(`/api/v1/dead-letters/${id}/replay`, {}, BASIC);
      expect(status).toBe(409);
      expect(body.detail).toMatch(/^it would fail again and stays open: /);
      expect(api.review.letters.get(id)!.status).toBe('open');
    }
  });

  it('are discarded once; afterwards 409, unknown ones 404', async () => {
    api.review.letters.set('a', aDeadLetter({ id: 'a' }));
    expect((await post('/api/v1/dead-letters/a/discard', {}, BASIC)).status).toBe(202);
    expect((await post('/api/v1/dead-letters/a/discard', {}, BASIC)).status).toBe(409);
    expect((await post('/api/v1/dead-letters/a/replay', {}, BASIC)).status).toBe(409);
    expect((await post('/api/v1/dead-letters/b/replay', {}, BASIC)).status).toBe(404);
  });

  it('are replayed by filter, at a pace, one run at a time', async () => {
    for (const id of ['a', 'b']) api.review.letters.set(id, aDeadLetter({ id, reason: 'exhausted' }));
    api.review.letters.set('c', aDeadLetter({ id: 'c' }));
    // The run goes on when a second one was refused beside it.
    let goOn = () => {};
    const isRefused = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    api.messaging.onPublish = () => isRefused;
    const { status, body } = await post(
      '/api/v1/dead-letters/replay',
      { filter: { reason: 'exhausted' }, perMinute: 60_000 },
      BASIC,
    );
    expect([status, body.state]).toEqual([202, 'running']);
    expect((await post('/api/v1/dead-letters/replay', {}, BASIC)).status).toBe(409);
    goOn();
    let progress = (await get('/api/v1/dead-letters/replay')).body();
    while (progress.state === 'running') {
      // Injected requests alone would keep the pace's timer from firing.
      await new Promise(setImmediate);
      progress = (await get('/api/v1/dead-letters/replay')).body();
    }
    expect(progress).toMatchObject({ state: 'done', replayed: 2, failed: 0 });
    expect(api.review.letters.get('c')!.status).toBe('open');
  });

  it('of which an earlier run began the replay are published again at start', async () => {
    const { review, messaging } = api;
    review.letters.set('a', aDeadLetter({ id: 'a', status: 'replaying' }));
    review.unfinished = [{ letter: review.letters.get('a')!, attempt: 6 }];
    const published = new Promise<unknown>((resolve) => {
      messaging.onPublish = resolve;
    });
    const restarted = await startTestApi({ review, messaging });
    expect(await published).toMatchObject({ routingKey: 'email', headers: { attempt: 6 } });
    await restarted.app.close();
  });
});

describe('operations', () => {
  it('are open on loopback, and a proxy in front is not loopback', async () => {
    expect((await get('/healthz', {})).status).toBe(200);
    expect((await get('/readyz', {})).status).toBe(200);
    expect((await get('/metrics', {})).text).toContain('tocsin_http_requests_total');
    expect((await get('/metrics', { 'x-forwarded-for': '203.0.113.1' })).status).toBe(401);
    expect((await get('/metrics', { 'x-forwarded-for': '203.0.113.1', ...BEARER })).status).toBe(200);
  });

  it('are not ready without the broker, but alive', async () => {
    api.messaging.isConnected = false;
    const { status, body } = await get('/readyz', {});
    expect([status, body()]).toMatchObject([
      503,
      { status: 'failing', checks: [{ name: 'broker', detail: 'not connected' }] },
    ]);
    expect((await get('/healthz', {})).status).toBe(200);
  });

  it('start with a page of links', async () => {
    const { status, text, headers } = await get('/', {});
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(text).toContain('href="/metrics"');
  });
});

describe('listening', () => {
  const parts = (port: number) => ({ ...api, settings: { ...someSettings(), httpPort: port } });

  it('says in one sentence what to do about a taken port', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) =>
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port)),
    );
    await expect(createApi(parts(port))).rejects.toThrow(
      `port ${port} for HTTP on 127.0.0.1 is taken; stop what listens there, or set TOCSIN_HTTP_PORT (0 picks a free one)`,
    );
    await new Promise((resolve) => other.close(resolve));
  });

  it('finishes what is under way before it closes, and takes nothing more', async () => {
    const running = await createApi(parts(0));
    let confirm = () => {};
    const publishing = new Promise<void>((started) => {
      api.messaging.onPublish = () => {
        started();
        return new Promise<void>((resolve) => {
          confirm = resolve;
        });
      };
    });
    const headers = { ...BEARER, 'content-type': 'application/json' };
    const answer = fetch(`${running.url}/api/v1/alerts`, { method: 'POST', headers, body: JSON.stringify(ALERT) });
    await publishing;
    const closed = Promise.all([running.close(), running.close()]);
    confirm();
    expect((await answer).status).toBe(202);
    await closed;
    await expect(fetch(running.url)).rejects.toThrow();
  });

  it.each(['content-length', 'chunked'])('lets a client that sends 9 MB (%s) read its 413', async (framing) => {
    const running = await createApi(parts(0));
    const socket = connect(Number(new URL(running.url).port), '127.0.0.1');
    const size = 9_000_000;
    socket.write(
      [
        'POST /api/v1/alerts HTTP/1.1',
        'host: a',
        'content-type: application/json',
        `authorization: ${BEARER.authorization}`,
        framing === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${size}`,
        '\r\n',
      ].join('\r\n'),
    );
    const body = Buffer.alloc(size, 0x20);
    const answer = firstLineOf(socket);
    if (framing === 'chunked')
      socket.write(Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]));
    else socket.write(body);
    expect(await answer).toBe('HTTP/1.1 413 Payload Too Large');
    socket.destroy();
    await running.close();
  });
});

/** Reads only after everything was written, as a plain client does. */
function firstLineOf(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('data', (chunk) => resolve(chunk.toString('latin1').split('\r\n')[0]!));
  });
}
