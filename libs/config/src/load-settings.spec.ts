import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { environmentTable } from './environment.js';
import { loadSettings } from './load-settings.js';

let folder: string;
let printed: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tocsin-settings-'));
  printed = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(environment: NodeJS.ProcessEnv = {}) {
  return loadSettings({
    environment: { TOCSIN_DATA_DIR: join(folder, 'data'), ...environment },
    print: (line) => printed.push(line),
  });
}

const BAD: [variable: string, text: string, message: string][] = [
  ['TOCSIN_HTTP_PORT', '80a', "TOCSIN_HTTP_PORT: must be a port from 0 to 65535, not '80a'"],
  ['TOCSIN_AMQP_PORT', '65536', "TOCSIN_AMQP_PORT: must be a port from 0 to 65535, not '65536'"],
  ['TOCSIN_MANAGEMENT_PORT', '-1', "TOCSIN_MANAGEMENT_PORT: must be a port from 0 to 65535, not '-1'"],
  ['TOCSIN_AMQP_PORT', '8080', 'TOCSIN_AMQP_PORT: is 8080, and so is TOCSIN_HTTP_PORT; choose another port'],
  ['TOCSIN_HOST', 'a:1', "TOCSIN_HOST: must be an IP address or host name without port, not 'a:1'"],
  [
    'TOCSIN_LOG_LEVEL',
    'loud',
    "TOCSIN_LOG_LEVEL: must be one of trace, debug, info, warn, error, fatal, silent, not 'loud'",
  ],
  [
    'BROKER_URL',
    'amqp://a,http://u:secret@b',
    'BROKER_URL: must be amqp:// or amqps:// URLs separated by commas; percent-encode special characters of a password',
  ],
  ['DATABASE_URL', 'mysql://u:secret@b', 'DATABASE_URL: must be a postgresql:// URL; leave it unset for SQLite'],
  [
    'TOCSIN_INGEST_TOKEN',
    'a b',
    'TOCSIN_INGEST_TOKEN: must be printable ASCII without spaces, as it travels in an HTTP header',
  ],
  ['TOCSIN_ADMIN_PASSWORD', ' ', 'TOCSIN_ADMIN_PASSWORD: must not be blank'],
];

describe('the environment', () => {
  it.each(BAD)('refuses %s=%s', async (variable, text, message) => {
    await expect(load({ [variable]: text })).rejects.toThrow(new Error(message));
  });

  it('names every wrong variable at once', async () => {
    await expect(load({ TOCSIN_HTTP_PORT: 'x', TOCSIN_HOST: '', TOCSIN_AMQP_PORT: 'y' })).rejects.toThrow(
      /TOCSIN_HTTP_PORT: .*\nTOCSIN_AMQP_PORT: /,
    );
  });

  it('has the defaults of the contract; an empty variable counts as unset', async () => {
    expect(await load({ TOCSIN_HTTP_PORT: '' })).toMatchObject({
      host: '127.0.0.1',
      httpPort: 8080,
      amqpPort: 5672,
      managementPort: 15672,
      brokerUrl: undefined,
      databaseUrl: undefined,
    });
  });

  it('lets every port be a free one', async () => {
    const settings = await load({ TOCSIN_HTTP_PORT: '0', TOCSIN_AMQP_PORT: '0', TOCSIN_MANAGEMENT_PORT: '0' });
    expect([settings.httpPort, settings.amqpPort, settings.managementPort]).toEqual([0, 0, 0]);
  });

  it('warns of an unknown TOCSIN_ variable and names the nearest', async () => {
    await load({ TOCSIN_HTPP_PORT: '1', TOCSIN_ZZZZZZZZZZ: '1' });
    expect(printed.slice(0, 2)).toEqual([
      'warning: environment variable TOCSIN_HTPP_PORT is unknown and ignored; did you mean TOCSIN_HTTP_PORT?',
      'warning: environment variable TOCSIN_ZZZZZZZZZZ is unknown and ignored',
    ]);
  });

  it('is the table in the README', () => {
    expect(readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')).toContain(environmentTable());
  });
});

describe('credentials', () => {
  it('are made at the first start, kept with mode 0600 and printed once', async () => {
    const first = await load();
    const file = join(folder, 'data', 'credentials.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(printed.join('\n')).toContain(first.ingestToken);
    expect(printed.join('\n')).toContain(first.adminPassword);
    expect(first.secretKey).toHaveLength(32);

    printed = [];
    expect(await load()).toEqual(first);
    expect(printed).toEqual([]);
  });

  it('are the same for processes that start at once, and printed by one of them', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => load()));
    expect(new Set(all.map(({ ingestToken, secretKey }) => `${ingestToken} ${secretKey.toString('hex')}`)).size).toBe(
      1,
    );
    expect(printed.filter((line) => line.startsWith('First start'))).toHaveLength(1);
  });

  it('come from the environment when it has them, without touching the data folder', async () => {
    const settings = await load({
      TOCSIN_INGEST_TOKEN: 'token',
      TOCSIN_ADMIN_PASSWORD: 'password',
      TOCSIN_SECRET_KEY: 'ab'.repeat(32),
    });
    expect(settings).toMatchObject({
      ingestToken: 'token',
      adminPassword: 'password',
      secretKey: Buffer.alloc(32, 0xab),
    });
    expect(() => statSync(join(folder, 'data'))).toThrow('ENOENT');
  });

  it('are not printed when the environment overrides them', async () => {
    await load({ TOCSIN_INGEST_TOKEN: 'token' });
    expect(printed.join('\n')).not.toContain('ingest token');
  });

  it('make the same key from the same text, base64 and hex being the key itself', async () => {
    const key = async (text: string) => (await load({ TOCSIN_SECRET_KEY: text })).secretKey.toString('hex');
    expect(await key(Buffer.alloc(32, 0xab).toString('base64'))).toBe('ab'.repeat(32));
    expect(await key(Buffer.alloc(32, 0xab).toString('base64url'))).toBe('ab'.repeat(32));
    expect(await key('correct horse')).toBe(await key('correct horse'));
    expect(await key('correct horse')).not.toBe(await key('correct horsf'));
  });

  it('stop the start when their file is damaged, rather than being replaced', async () => {
    await load();
    const file = join(folder, 'data', 'credentials.json');
    writeFileSync(file, '{"ingestToken":"x"');
    await expect(load()).rejects.toThrow('does not hold ingestToken, adminPassword and secretKey');
    expect(readFileSync(file, 'utf8')).toBe('{"ingestToken":"x"');
  });
});
