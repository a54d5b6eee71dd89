import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadSettings } from './load-settings.js';
import { secretsOf } from './secrets-of.js';
import type { Settings } from './settings.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tocsin-secrets-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const ENVIRONMENT = {
  TOCSIN_INGEST_TOKEN: 'ingest-token',
  TOCSIN_ADMIN_PASSWORD: 'admin-password',
  TOCSIN_SECRET_KEY: 'ab'.repeat(32),
  BROKER_URL: 'amqp://u:broker-1@a,amqp://u:broker-2@b',
  DATABASE_URL: 'postgresql://u:data%2Fbase@c/tocsin',
  SMTP_PASSWORD: 'smtp%40word',
};

const YAML = `
senders:
  email: { url: "smtp://user:\${SMTP_PASSWORD}@mail.example.com:587", from: "Tocsin <alerts@example.com>" }
  sms: { provider: aliyun, accessKeySecret: aliyun-secret, signName: Tocsin }
  wecom: { corpId: corp-id, corpSecret: corp-secret }
receivers:
  - name: ops
    targets:
      - { channel: email, to: ops@example.com }
      - { channel: dingtalk, token: robot-token, secret: SECrobot, atMobiles: ["13800000000"] }
      - { channel: wecom, key: robot-key }
      - { channel: webhook, url: "https://u:hook-word@example.com/in/hook-path", headers: { X-Auth: "Bearer hook-bearer" } }
route: { receiver: ops }
`;

async function load(environment: NodeJS.ProcessEnv = ENVIRONMENT): Promise<Settings> {
  const file = join(folder, 'tocsin.yaml');
  writeFileSync(file, YAML);
  return loadSettings({
    environment: { SMTP_PASSWORD: 'x', ...environment, TOCSIN_CONFIG: file, TOCSIN_DATA_DIR: join(folder, 'data') },
    print: () => {},
  });
}

describe('secrets of the settings', () => {
  it('are every token, password, key and target secret, as written and as sent', async () => {
    expect(secretsOf(await load()).sort()).toEqual(
      [
        ...['ingest-token', 'admin-password', 'ab'.repeat(32), Buffer.from('ab'.repeat(32), 'hex').toString('base64')],
        ...['broker-1', 'broker-2', 'data%2Fbase', 'data/base', 'smtp%40word', 'smtp@word'],
        ...['aliyun-secret', 'corp-secret', 'robot-token', 'SECrobot', 'robot-key'],
        ...['https://u:hook-word@example.com/in/hook-path', 'hook-word', 'Bearer hook-bearer', 'hook-bearer'],
      ].sort(),
    );
  });

  it('come longest first, so that one inside another does not leave the rest of it', async () => {
    const lengths = secretsOf(await load()).map((secret) => secret.length);
    expect(lengths).toEqual([...lengths].sort((one, other) => other - one));
  });

  it('hold those that were made at the first start, and nothing empty', async () => {
    const settings = await load({});
    expect(secretsOf(settings)).toEqual(expect.arrayContaining([settings.ingestToken, settings.adminPassword]));
    expect(secretsOf(settings)).not.toContain('');
  });
});
