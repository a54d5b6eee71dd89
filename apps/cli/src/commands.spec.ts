import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApiClient, connectionFrom } from './api-client.js';
import { listDeadLetters, replayDeadLetter, showNotification } from './commands.js';

describe('commands', () => {
  let server: Server;
  let api: ApiClient;
  let answer: { status: number; body: unknown };
  const asked: string[] = [];

  beforeEach(async () => {
    asked.length = 0;
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    api = new ApiClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, adminPassword: 'secret' });
  });
  afterEach(() => {
    server.close();
  });

  it('shows the attempts of a notification as a table', async () => {
    const attempts = [{ at: '2026-01-02T15:04:05Z', outcome: 'permanent', reason: 'recipient', providerCode: '550' }];
    answer = { status: 200, body: { id: 'n1', channel: 'email', status: 'dead', attempts } };
    expect(await showNotification(api, 'n1')).toBe(
      [
        'n1  email  dead',
        '#  at                    outcome    reason     code  message  ms',
        '1  2026-01-02T15:04:05Z  permanent  recipient  550',
      ].join('\n'),
    );
  });

  it('names the next page of a long list', async () => {
    const item = { id: 'd1', channel: 'email', reason: 'recipient', attempts: 1, failedAt: '2026-01-02T15:04:05Z' };
    answer = { status: 200, body: { items: [item], nextCursor: 'c2' } };
    expect(await listDeadLetters(api, { channel: 'email' })).toContain('more: --cursor c2');
    expect(asked[0]).toContain('GET /api/v1/dead-letters?channel=email Basic');
  });

  it('quotes an id that holds a slash', async () => {
    answer = { status: 202, body: {} };
    await replayDeadLetter(api, 'n1/1');
    expect(asked[0]).toContain('POST /api/v1/dead-letters/n1%2F1/replay');
  });

  it.each([
    [401, {}, 'the admin password is wrong'],
    [404, { title: 'Not found', detail: 'no notification n1' }, '404: no notification n1'],
  ])('says what a %i means', async (status, body, sentence) => {
    answer = { status, body };
    await expect(showNotification(api, 'n1')).rejects.toThrow(sentence);
  });

  it('asks for a password when there is none', () => {
    expect(() => connectionFrom({ TOCSIN_DATA_DIR: '/nowhere' }, undefined)).toThrow('no admin password');
  });
});
