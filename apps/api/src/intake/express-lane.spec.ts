import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PublishErrorKind } from '#messaging';
import { createLogger, Metrics } from '#telemetry';
import { Credentials } from '../access/credentials.js';
import { BASIC, BEARER, PASSWORD, startTestApi, type TestApi, TOKEN } from '../api.fixture.js';
import { ExpressLane } from './express-lane.js';
import { Load } from './load.js';

const PATH = '/api/v2/alerts';
const NOW = Date.parse('2026-01-02T15:04:05Z');
const ALERT = { labels: { alertname: 'HighCPU', instance: 'web-1:9100' } };
const JSON_TYPE = { 'content-type': 'application/json' };

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

function send(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method, path, headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('the express lane', () => {
  let api: TestApi;
  let port: number;
  beforeEach(async () => {
    api = await startTestApi({ now: () => NOW });
    port = await listening(api.app.getHttpServer());
  });
  afterEach(() => api.app.close());

  const refuse = (answer: PublishErrorKind | 'unroutable') => () => {
    api.messaging.answer = answer;
  };
  const nothing = () => {};

  it.each<[string, unknown, () => void, number]>([
    ['alerts', [ALERT, ALERT], nothing, 200],
    ['an empty array', [], nothing, 200],
    ['one bad alert among others', [ALERT, { labels: {} }], nothing, 400],
    ['no array', ALERT, nothing, 400],
    ['too many', Array.from({ length: 10_001 }, () => ALERT), nothing, 400],
    ['broken JSON', '[{"labels":}]', nothing, 400],
    ['bytes that are not UTF-8', Buffer.from([0x5b, 0xff, 0x5d]), nothing, 400],
    ['a byte order mark', `\uFEFF${JSON.stringify([ALERT])}`, nothing, 200],
    ['alerts that no queue takes', [ALERT], refuse('unroutable'), 500],
    ['alerts the broker refuses', [ALERT], refuse('nacked'), 503],
    ['alerts while the broker is blocked', [ALERT], refuse('blocked'), 503],
    ['alerts whose connection goes', [ALERT], refuse('disconnected'), 503],
    ['alerts that are too many at once', [ALERT], refuse('overloaded'), 503],
    [
      'alerts that hit a fault of ours',
      [ALERT],
      () => {
        api.messaging.onPublish = () => Promise.reject(new Error('secret detail'));
      },
      500,
    ],
  ])('answers %s as the framework does', async (_name, given, prepare, status) => {
    prepare();
    const body = Buffer.isBuffer(given)
      ? given
      : Buffer.from(typeof given === 'string' ? given : JSON.stringify(given));
    const headers = { ...BEARER, ...JSON_TYPE, 'content-length': String(body.length) };
    const express = await send(port, 'POST', PATH, headers, body);
    const onExpress = api.messaging.published.splice(0);
    const framework = await api.app.inject({ method: 'POST', url: PATH, payload: body, headers });

    expect(express).toMatchObject({ status, body: framework.body });
    expect(framework.statusCode).toBe(status);
    for (const name of ['content-type', 'content-length', 'cache-control', 'retry-after']) {
      expect([name, express.headers[name]]).toEqual([name, framework.headers[name]]);
    }
    expect(onExpress.map((one) => String(one.body))).toEqual(api.messaging.published.map((one) => String(one.body)));
  });

  it('gives posts of one turn one message and one confirm, in their order', async () => {
    let confirm = () => {};
    const publishing = new Promise<void>((started) => {
      api.messaging.onPublish = () => {
        started();
        return new Promise<void>((resolve) => {
          confirm = resolve;
        });
      };
    });
    const bodies = ['a', 'b', 'c'].map((alertname) => JSON.stringify([{ labels: { alertname } }]));
    const headers = { ...BEARER, ...JSON_TYPE };
    const answers = Promise.all(
      bodies.map((payload) => api.app.inject({ method: 'POST', url: PATH, payload, headers })),
    );
    await publishing;
    confirm();
    expect((await answers).map(({ statusCode }) => statusCode)).toEqual([200, 200, 200]);
    expect(api.messaging.published.map(({ body }) => String(body))).toEqual([
      `[${bodies.map((body) => body.slice(1, -1)).join(',')}]`,
    ]);
  });

  it('counts its answers like any other', async () => {
    const body = Buffer.from(JSON.stringify([ALERT]));
    await send(port, 'POST', PATH, { ...BEARER, ...JSON_TYPE, 'content-length': String(body.length) }, body);
    await api.app.close();
    const text = await api.metrics.text();
    expect(text).toContain('tocsin_http_requests_total{method="POST",route="/api/v2/alerts",status="200"} 1');
    expect(text).toContain('tocsin_http_request_seconds_count{method="POST",route="/api/v2/alerts"} 1');
    expect(text).toContain('tocsin_ingest_in_flight 0');
  });
});

describe('what goes by the express lane', () => {
  const BODY = Buffer.from('[]');
  const metrics = new Metrics({ withProcess: false });
  let mayAdmit: boolean;
  let lane: ExpressLane;
  let server: Server;
  let port: number;
  beforeEach(async () => {
    mayAdmit = true;
    const messaging = { publish: neverCalled, queueDepth: neverCalled, request: neverCalled };
    const load = new Load({
      messaging: {
        ...messaging,
        get isConnected() {
          return mayAdmit;
        },
        isBlocked: false,
      },
      settings: { configuration: { dispatchLagMax: 1 } } as never,
      metrics,
    });
    const credentials = new Credentials({ ingestToken: TOKEN, adminPassword: PASSWORD });
    lane = new ExpressLane(
      { [PATH]: async () => {} },
      { credentials, load, metrics, logger: createLogger({ name: 'api', level: 'silent' }) },
    );
    server = createServer((received, response) => received.resume().once('end', () => response.writeHead(418).end()));
    lane.join(server);
    port = await listening(server);
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  it.each<[string, string, string, Record<string, string>, number]>([
    ['a post with the token', 'POST', PATH, BEARER, 200],
    ['a post by the administrator', 'POST', PATH, BASIC, 200],
    ['another method', 'PUT', PATH, BEARER, 418],
    ['another path', 'POST', '/api/v1/alerts', BEARER, 418],
    ['a query', 'POST', `${PATH}?a=b`, BEARER, 418],
    ['no credentials', 'POST', PATH, {}, 418],
    ['a wrong token', 'POST', PATH, { authorization: 'Bearer wrong' }, 418],
    ['another content type', 'POST', PATH, { ...BEARER, 'content-type': 'application/json; charset=utf-8' }, 418],
    ['a body of unknown length', 'POST', PATH, { ...BEARER, 'transfer-encoding': 'chunked' }, 418],
  ])('%s', async (_name, method, path, headers, status) => {
    const length: Record<string, string> = headers['transfer-encoding']
      ? {}
      : { 'content-length': String(BODY.length) };
    expect((await send(port, method, path, { ...JSON_TYPE, ...length, ...headers }, BODY)).status).toBe(status);
  });

  it('not a body beyond the limit, not while nothing more is taken in, not while it closes', async () => {
    const headers = { ...BEARER, ...JSON_TYPE, 'content-length': String(BODY.length) };
    const large = Buffer.alloc(8 * 1024 * 1024 + 1, 0x20);
    const tooLarge = { ...headers, 'content-length': String(large.length) };
    expect((await send(port, 'POST', PATH, tooLarge, large)).status).toBe(418);

    mayAdmit = false;
    expect((await send(port, 'POST', PATH, headers, BODY)).status).toBe(418);
    mayAdmit = true;
    lane.close();
    expect((await send(port, 'POST', PATH, headers, BODY)).status).toBe(418);
  });
});

function neverCalled(): never {
  throw new Error('not asked in this test');
}
