import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import amqp from 'amqplib';
import { loadBrokerSettings } from '#config';
import { createLogger } from '#telemetry';
import { waitFor } from '#testing';
import { type BrokerServer, startBrokerServer } from '../broker-server.js';

const SERVICE = { user: 'service', password: 'made-at-start' };
const GUEST = 'guest:guest';
const ALL = { configure: '.*', write: '.*', read: '.*' };

let directory: string;
let server: BrokerServer;

async function start(): Promise<void> {
  const { settings } = loadBrokerSettings({
    TOCSIN_AMQP_PORT: '0',
    TOCSIN_MANAGEMENT_PORT: '0',
    TOCSIN_DATA_DIR: directory,
  });
  const logger = createLogger({ name: 'broker', level: 'silent' });
  const onFailed = (error: Error) => {
    throw error;
  };
  server = await startBrokerServer({ settings, serviceAccount: SERVICE, logger, onFailed });
}

async function ask(method: string, path: string, body?: unknown, as = GUEST): Promise<[number, unknown]> {
  const answer = await fetch(`http://127.0.0.1:${server.managementPort}/api${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(as).toString('base64')}`,
      // As curl -d says of everything.
      'content-type': 'application/x-www-form-urlencoded',
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return [answer.status, text === '' ? undefined : JSON.parse(text)];
}

const status = async (...request: Parameters<typeof ask>) => (await ask(...request))[0];
const page = async (...request: Parameters<typeof ask>) => (await ask(...request))[1];
/** The only one there is, once those of earlier tests have gone: their ends may still be on their way. */
function onlyConnection(): Promise<{ name: string }> {
  return waitFor(
    async () => {
      const [first, ...others] = (await page('GET', '/connections/')) as { name: string }[];
      return others.length === 0 ? first : undefined;
    },
    { timeoutMs: 30_000, what: 'one connection' },
  );
}
const NOT_FOUND = [404, { error: 'Object Not Found', reason: 'Not Found' }];
const refused = (reason: string) => [401, { error: 'not_authorised', reason }];
const bad = (reason: unknown) => [400, { error: 'bad_request', reason }];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'management-'));
  await start();
});
afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

beforeEach(async () => {
  expect(await status('PUT', '/vhosts/night', { description: 'd', tags: 'a, b' })).toBe(201);
  expect(await status('PUT', '/users/anna', { password: 'p', tags: 'management' })).toBe(201);
});
afterEach(async () => {
  await ask('DELETE', '/vhosts/night');
  await ask('DELETE', '/users/anna');
});

// Answers as RabbitMQ 3.10.8 gave them, unless a line says otherwise.
describe('virtual hosts', () => {
  it('are made, changed, shown and deleted', async () => {
    expect(await status('PUT', '/vhosts/night')).toBe(204);
    expect(await page('GET', '/vhosts/night')).toEqual({
      name: 'night',
      description: 'd',
      tags: ['a', 'b'],
      metadata: { description: 'd', tags: ['a', 'b'] },
      default_queue_type: 'undefined',
      tracing: false,
      messages: 0,
      messages_ready: 0,
      messages_unacknowledged: 0,
    });
    expect(await page('GET', '/vhosts')).toMatchObject([{ name: '/' }, { name: 'night' }]);
    expect(await status('DELETE', '/vhosts/night')).toBe(204);
    expect(await ask('DELETE', '/vhosts/night')).toEqual(NOT_FOUND);
    expect(await ask('GET', '/vhosts/night')).toEqual(NOT_FOUND);
  });

  it('let in who made them', async () => {
    expect(await page('GET', '/vhosts/night/permissions')).toEqual([{ user: 'guest', vhost: 'night', ...ALL }]);
    expect(await page('GET', '/vhosts/night/topic-permissions')).toEqual([]);
    expect(await ask('GET', '/vhosts/none/permissions')).toEqual(NOT_FOUND);
  });

  it('have names that hold anything a path can write', async () => {
    const name = encodeURIComponent(`a/b:%ä ${'x'.repeat(200)}`);
    expect(await status('PUT', `/vhosts/${name}`)).toBe(201);
    expect(await status('GET', `/vhosts/${name}`)).toBe(200);
    expect(await status('DELETE', `/vhosts/${name}`)).toBe(204);
    expect(await ask('PUT', `/vhosts/${'x'.repeat(256)}`)).toEqual(
      bad('the name of a virtual host has 1 to 255 bytes, not 256'),
    );
  });

  it('serve clients, and are closed to them when they are deleted', async () => {
    const client = await amqp.connect(`amqp://guest:guest@127.0.0.1:${server.amqpPort}/night`);
    const channel = await client.createConfirmChannel();
    await channel.assertQueue('q');
    channel.sendToQueue('q', Buffer.from('x'));
    await channel.waitForConfirms();
    expect(await page('GET', '/queues/night')).toEqual([
      expect.objectContaining({ name: 'q', vhost: 'night', messages: 1 }),
    ]);
    const closed = new Promise<Error>((resolve) => client.once('close', resolve));
    expect(await status('DELETE', '/vhosts/night')).toBe(204);
    expect((await closed).message).toContain("CONNECTION_FORCED - vhost 'night' is deleted");
    expect(await ask('GET', '/queues/night')).toEqual(NOT_FOUND);
  });
});

describe('users', () => {
  it('are made with a password or its hash, changed, shown and deleted', async () => {
    expect(await page('GET', '/users/anna')).toEqual({
      name: 'anna',
      password_hash: expect.stringMatching(/^[\w+/]{48}$/),
      hashing_algorithm: 'rabbit_password_hashing_sha256',
      tags: ['management'],
      limits: {},
    });
    expect(await page('GET', '/whoami', undefined, 'anna:p')).toEqual({ name: 'anna', tags: ['management'] });
    const password_hash = 'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR';
    expect(await status('PUT', '/users/anna', { password_hash, tags: ['monitoring'] })).toBe(204);
    expect(await page('GET', '/whoami', undefined, 'anna:test12')).toEqual({ name: 'anna', tags: ['monitoring'] });
    expect(await page('GET', '/users')).toMatchObject([{ name: 'guest' }, { name: 'anna' }]);
    expect(await page('GET', '/users/without-permissions')).toMatchObject([{ name: 'anna' }]);
    expect(await status('DELETE', '/users/anna')).toBe(204);
    expect(await ask('DELETE', '/users/anna')).toEqual(NOT_FOUND);
  });

  it('without a password cannot log in by one', async () => {
    expect(await status('PUT', '/users/anna', { tags: 'management' })).toBe(204);
    expect(await status('GET', '/whoami', undefined, 'anna:p')).toBe(401);
    expect(await status('GET', '/whoami', undefined, 'anna:')).toBe(401);
  });

  it('are deleted together or not at all', async () => {
    expect(await ask('POST', '/users/bulk-delete', { users: ['anna', 'nobody'] })).toEqual(
      bad(['no_such_user', 'nobody']),
    );
    expect(await status('POST', '/users/bulk-delete', { users: ['anna'] })).toBe(204);
    expect(await status('GET', '/users/anna')).toBe(404);
  });

  it.each([
    ['{nojson', bad('not_json')],
    ['[]', bad('not_json')],
    ['', bad('tags_not_present')],
    [{ password: 'p' }, bad('tags_not_present')],
    [{ password: 'a', password_hash: 'b', tags: '' }, bad('both_password_and_password_hash_are_provided')],
    [{ password_hash: '!!!', tags: '' }, bad(['not_base64', '!!!'])],
    // RabbitMQ: 500 for the first two, and the third is stored.
    [{ password: 5, tags: '' }, bad('password must be a string, not 5')],
    [{ password: 'p', tags: 5 }, bad('tags must be strings, not 5')],
    [
      { password: 'p', tags: '', hashing_algorithm: 'rot13' },
      bad('hashing_algorithm is one of rabbit_password_hashing_sha256, rabbit_password_hashing_sha512'),
    ],
  ])('are not made from %j', async (body, answer) => {
    expect(await ask('PUT', '/users/new', body)).toEqual(answer);
    expect(await status('GET', '/users/new')).toBe(404);
  });
});

describe('permissions', () => {
  const rows = { configure: '', write: '^a', read: '.*' };

  it('are set, shown and taken away', async () => {
    expect(await status('PUT', '/permissions/night/anna', rows)).toBe(201);
    expect(await status('PUT', '/permissions/night/anna', rows)).toBe(204);
    const row = { user: 'anna', vhost: 'night', ...rows };
    expect(await page('GET', '/permissions/night/anna')).toEqual(row);
    expect(await page('GET', '/users/anna/permissions')).toEqual([row]);
    expect(await page('GET', '/permissions')).toContainEqual(row);
    expect(await status('DELETE', '/permissions/night/anna')).toBe(204);
    expect(await ask('DELETE', '/permissions/night/anna')).toEqual(NOT_FOUND);
    expect(await ask('GET', '/permissions/night/anna')).toEqual(NOT_FOUND);
  });

  it.each<[string, unknown, unknown]>([
    ['night/nobody', rows, bad('vhost_or_user_not_found')],
    ['none/anna', rows, bad('vhost_or_user_not_found')],
    ['night/anna', { configure: '', write: '' }, bad('[{key_missing,read}]')],
    ['night/anna', { ...rows, write: '(' }, bad(['invalid_regexp', expect.stringContaining('write: ')])],
  ])('of %s are not set from %j', async (path, body, answer) => {
    expect(await ask('PUT', `/permissions/${path}`, body)).toEqual(answer);
  });

  it('on topics are set by exchange, and taken away one by one or together', async () => {
    const topic = { exchange: 'amq.topic', write: '^a', read: '^b' };
    expect(await status('PUT', '/topic-permissions/night/anna', topic)).toBe(201);
    expect(await status('PUT', '/topic-permissions/night/anna', { ...topic, exchange: 'x' })).toBe(204);
    const row = { user: 'anna', vhost: 'night', ...topic };
    expect(await page('GET', '/topic-permissions')).toEqual([row, { ...row, exchange: 'x' }]);
    expect(await page('GET', '/users/anna/topic-permissions')).toHaveLength(2);
    expect(await status('DELETE', '/topic-permissions/night/anna/x')).toBe(204);
    expect(await page('GET', '/topic-permissions/night/anna')).toEqual([row]);
    expect(await status('DELETE', '/topic-permissions/night/anna')).toBe(204);
    expect(await ask('DELETE', '/topic-permissions/night/anna')).toEqual(NOT_FOUND);
    expect(await ask('GET', '/topic-permissions/night/anna')).toEqual(NOT_FOUND);
    expect(await ask('PUT', '/topic-permissions/night/anna', { write: '', read: '' })).toEqual(
      bad('[{key_missing,exchange}]'),
    );
  });
});

describe('limits', () => {
  it('of users and virtual hosts are set, shown and taken away', async () => {
    expect(await status('PUT', '/user-limits/anna/max-channels', { value: 3 })).toBe(204);
    expect(await page('GET', '/user-limits')).toEqual([{ user: 'anna', value: { 'max-channels': 3 } }]);
    expect(await page('GET', '/users/anna')).toMatchObject({ limits: { 'max-channels': 3 } });
    expect(await status('PUT', '/vhost-limits/night/max-queues', { value: 1 })).toBe(204);
    expect(await page('GET', '/vhost-limits/night')).toEqual([{ vhost: 'night', value: { 'max-queues': 1 } }]);
    expect(await status('DELETE', '/user-limits/anna/max-channels')).toBe(204);
    expect(await page('GET', '/user-limits/anna')).toEqual([]);
    expect(await status('DELETE', '/vhost-limits/night/max-fun')).toBe(204);
  });

  it.each([
    ['/vhost-limits/none/max-queues', { value: 1 }, [404, { error: 'not_found', reason: 'vhost_not_found' }]],
    ['/user-limits/nobody/max-channels', { value: 1 }, bad(['no_such_user', 'nobody'])],
    ['/vhost-limits/night/max-queues', {}, bad('[{key_missing,value}]')],
    [
      '/vhost-limits/night/max-queues',
      { value: 1.5 },
      bad('Validation failed\n\nmax-queues should be a number, actually was 1.5\n'),
    ],
    ['/user-limits/anna/max-channels', { value: null }, bad('max-channels should be a number, actually was null')],
    // RabbitMQ names the limit with its value, as a term: [{<<"max-fun">>,1}].
    [
      '/vhost-limits/night/max-fun',
      { value: 1 },
      bad('Validation failed\n\nUnrecognised terms [max-fun] in limits; there are max-connections and max-queues\n'),
    ],
    [
      '/user-limits/anna/max-queues',
      { value: 1 },
      bad('Unrecognised terms [max-queues] in user-limits; there are max-connections and max-channels'),
    ],
  ])('PUT %s %j is refused', async (path, body, answer) => {
    expect(await ask('PUT', path, body)).toEqual(answer);
  });
});

describe('who may see and change what', () => {
  it('a wrong password and an unknown user are refused alike, a user without a tag differently', async () => {
    const answer = [401, { error: 'not_authorized', reason: 'Login failed' }];
    expect(await ask('GET', '/whoami', undefined, 'anna:wrong')).toEqual(answer);
    expect(await ask('GET', '/whoami', undefined, 'nobody:p')).toEqual(answer);
    await ask('PUT', '/users/anna', { password: 'p', tags: '' });
    expect(await ask('GET', '/whoami', undefined, 'anna:p')).toEqual(refused('Not management user'));
  });

  it.each([
    ['GET', '/vhosts/night'],
    ['PUT', '/vhosts/new'],
    ['DELETE', '/vhosts/night'],
    ['GET', '/users'],
    ['PUT', '/users/anna'],
    ['DELETE', '/users/guest'],
    ['GET', '/permissions'],
    ['PUT', '/permissions/night/anna'],
    ['GET', '/topic-permissions'],
    ['PUT', '/user-limits/anna/max-channels'],
  ])('%s %s is for administrators', async (method, path) => {
    expect(await ask(method, path, undefined, 'anna:p')).toEqual(refused('Not administrator user'));
  });

  it('others see the virtual hosts they may enter, monitors all', async () => {
    expect(await page('GET', '/vhosts', undefined, 'anna:p')).toEqual([]);
    expect(await ask('GET', '/queues/night', undefined, 'anna:p')).toEqual(
      refused('User not authorised to access virtual host'),
    );
    expect(await ask('GET', '/queues/none', undefined, 'anna:p')).toEqual(NOT_FOUND);
    await ask('PUT', '/vhost-limits/night/max-queues', { value: 9 });
    expect(await ask('GET', '/vhost-limits', undefined, 'anna:p')).toEqual([200, []]);
    expect(await ask('GET', '/user-limits', undefined, 'anna:p')).toEqual([200, []]);
    await ask('PUT', '/permissions/night/anna', ALL);
    expect(await page('GET', '/vhost-limits', undefined, 'anna:p')).toHaveLength(1);
    expect(await page('GET', '/vhosts', undefined, 'anna:p')).toMatchObject([{ name: 'night' }]);
    expect(await ask('GET', '/queues/night', undefined, 'anna:p')).toEqual([200, []]);
    await ask('PUT', '/users/anna', { password: 'p', tags: 'monitoring' });
    expect(await page('GET', '/vhosts', undefined, 'anna:p')).toHaveLength(2);
  });

  it("the service's account may do everything, is nobody's to change, and shows nowhere", async () => {
    const service = `${SERVICE.user}:${SERVICE.password}`;
    expect(await page('GET', '/whoami', undefined, service)).toEqual({ name: 'service', tags: ['administrator'] });
    expect(await status('GET', '/users/service', undefined, service)).toBe(404);
    await ask('PUT', '/users/service', { password: 'other', tags: '' });
    expect(await status('GET', '/whoami', undefined, service)).toBe(200);
    expect(await status('DELETE', '/users/service')).toBe(204);
    const client = await amqp.connect(`amqp://${service}@127.0.0.1:${server.amqpPort}/night`);
    expect(await onlyConnection()).toMatchObject({ user: 'service', vhost: 'night' });
    expect(await page('GET', '/connections', undefined, 'anna:p')).toEqual([]);
    await client.close();
  });
});

describe('connections', () => {
  it('are shown and closed by name, by administrators and by their own users', async () => {
    await ask('PUT', '/permissions/night/anna', ALL);
    const client = await amqp.connect(`amqp://guest:guest@127.0.0.1:${server.amqpPort}/night`);
    client.on('error', () => {});
    const closed = new Promise<Error>((resolve) => client.once('close', resolve));
    const { name } = await onlyConnection();
    const path = `/connections/${encodeURIComponent(name)}`;
    expect(await page('GET', path)).toMatchObject({ name, vhost: 'night' });
    expect(await ask('GET', path, undefined, 'anna:p')).toEqual(refused('User not authorised to access object'));
    expect(await ask('DELETE', path, undefined, 'anna:p')).toEqual(refused('User not authorised to access object'));
    expect(await status('DELETE', path)).toBe(204);
    expect((await closed).message).toContain('CONNECTION_FORCED - Closed via management plugin');
    expect(await ask('DELETE', path)).toEqual(NOT_FOUND);
  });
});

describe('a method that a page does not have', () => {
  it.each([
    ['POST', '/overview', 'HEAD, GET, OPTIONS'],
    ['POST', '/vhosts/%2F', 'HEAD, GET, PUT, DELETE, OPTIONS'],
    ['PUT', '/queues/', 'HEAD, GET, OPTIONS'],
    ['GET', '/vhost-limits/%2F/max-queues', 'PUT, DELETE, OPTIONS'],
  ])('%s %s is answered with those it has', async (method, path, allowed) => {
    const answer = await fetch(`http://127.0.0.1:${server.managementPort}/api${path}`, { method });
    expect([answer.status, answer.headers.get('allow'), await answer.text()]).toEqual([405, allowed, '']);
  });

  it('OPTIONS lists them', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.managementPort}/api/whoami`, { method: 'OPTIONS' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([200, 'HEAD, GET, OPTIONS']);
  });
});

it('everything is there again after a restart', async () => {
  await ask('PUT', '/permissions/night/anna', ALL);
  await ask('PUT', '/user-limits/anna/max-connections', { value: 7 });
  const pages = ['/vhosts', '/users', '/permissions', '/user-limits'];
  const before = await Promise.all(pages.map((path) => page('GET', path)));
  await server.close();
  await start();
  expect(await Promise.all(pages.map((path) => page('GET', path)))).toEqual(before);
  expect(await ask('GET', '/nothing-here')).toEqual(NOT_FOUND);
});
