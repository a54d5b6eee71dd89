import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import {
  type Authority,
  type CertificateFiles,
  hasDebianFile,
  hasOpenssl,
  makeAuthority,
  newFolder,
  removeFolder,
  type Service,
  startService,
  TocsinClient,
  waitFor,
} from '#testing';

const itWithPika = hasDebianFile('/usr/lib/python3/dist-packages/pika/__init__.py', 'python3-pika') ? it : it.skip;
const describeWithOpenssl = hasOpenssl() ? describe : describe.skip;

/** A start waits its turn when other tests run beside. */
const START_MS_MAX = 90_000;

/** Read again and again while the broker runs, so in its own folder: the certificate it shows. */
const CONFIGURATION = `broker:
  tls: { certfile: server.pem, keyfile: server.key, cacertfile: ca.pem, verify: peer, failIfNoPeerCert: true }
`;

describeWithOpenssl('a broker that demands client certificates', () => {
  let folder: string;
  let ours: Authority;
  let other: Authority;
  let client: CertificateFiles;
  let broker: Service;
  beforeAll(async () => {
    folder = await newFolder();
    const elsewhere = join(folder, 'elsewhere');
    await mkdir(elsewhere);
    ours = await makeAuthority(folder);
    other = await makeAuthority(elsewhere);
    await ours.issue('server');
    client = await ours.issue('client');
    broker = await startService({ app: 'broker', configuration: CONFIGURATION, folder });
  }, START_MS_MAX);
  afterAll(async () => {
    await broker.kill();
    await removeFolder(folder);
  });

  const port = () => new URL(broker.amqps.replace('amqps:', 'http:')).port;

  async function pika(...parameters: string[]): Promise<string> {
    const script = join(import.meta.dirname, 'publish_over_tls.py');
    const { stdout } = await promisify(execFile)('/usr/bin/python3', [script, port(), ...parameters]);
    return stdout.trim();
  }

  itWithPika('serves pika with a certificate, and refuses it without one or with a stranger authority', async () => {
    expect(await pika(ours.cert, client.cert, client.key)).toBe('got: encrypted');
    expect(await pika(ours.cert)).toMatch(/^refused: /);
    const stranger = await other.issue('stranger');
    expect(await pika(ours.cert, stranger.cert, stranger.key)).toMatch(/^refused: /);
    expect(await pika(other.cert, client.cert, client.key)).toMatch(/^refused: /);
  });

  it('shows in the management pages how a connection is encrypted', async () => {
    const [ca, cert, key] = await Promise.all([readFile(ours.cert), readFile(client.cert), readFile(client.key)]);
    const connection = await connect(broker.amqps.replace('127.0.0.1', 'guest:guest@localhost'), {
      ca: [ca],
      cert,
      key,
    });
    // Earlier clients have gone, but their ends may still be on their way.
    const shown = await waitFor(
      async () => {
        const page = await fetch(`${broker.management}/api/connections`, {
          headers: { authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}` },
        });
        const connections = (await page.json()) as unknown[];
        return connections.length === 1 ? connections : undefined;
      },
      { timeoutMs: 30_000, what: 'one connection' },
    );
    expect(shown).toMatchObject([
      { ssl: true, ssl_protocol: 'TLSv1.3', peer_cert_subject: 'O=Tocsin test\nCN=client', user: 'guest', vhost: '/' },
    ]);
    await connection.close();
  });

  it(
    'carries the whole service by BROKER_URL=amqps://',
    async () => {
      const service = await startService({
        environment: {
          BROKER_URL: broker.amqps.replace('127.0.0.1', 'guest:guest@localhost'),
          BROKER_CA_FILE: ours.cert,
          BROKER_CERT_FILE: client.cert,
          BROKER_KEY_FILE: client.key,
        },
      });
      try {
        const post = { labels: { alertname: 'HighCPU' } };
        expect((await new TocsinClient(service.http).post('/api/v1/alerts', post)).status).toBe(202);
        expect(await service.stop()).toBe(0);
      } finally {
        await service.kill();
        await removeFolder(service.folder);
      }
    },
    START_MS_MAX,
  );

  it('shows a replaced certificate to new connections without a restart', async () => {
    const renewed = await ours.issue('renewed');
    await copyFile(renewed.key, join(folder, 'server.key'));
    await copyFile(renewed.cert, join(folder, 'server.pem'));
    const ca = await readFile(ours.cert);
    await waitFor(async () => (await shownSubject(Number(port()), ca)).includes('CN=renewed'), {
      timeoutMs: 60_000,
      what: 'the new certificate',
    });
  });

  it(
    'is opened by npm start as well, whose own connection stays plain on loopback',
    async () => {
      const all = await newFolder();
      const tls = `{ certfile: ${join(folder, 'client.pem')}, keyfile: ${join(folder, 'client.key')} }`;
      const service = await startService({ configuration: `broker: { compat: "4.3", tls: ${tls} }\n`, folder: all });
      try {
        const ca = [await readFile(ours.cert)];
        const connection = await connect(service.amqps.replace('127.0.0.1', 'guest:guest@localhost'), { ca });
        expect(connection.connection.serverProperties).toMatchObject({ product: 'RabbitMQ', version: '4.3.5' });
        await connection.close();
        const post = { labels: { alertname: 'HighCPU' } };
        expect((await new TocsinClient(service.http).post('/api/v1/alerts', post)).status).toBe(202);
        expect(await service.stop()).toBe(0);
      } finally {
        await service.kill();
        await removeFolder(all);
      }
    },
    START_MS_MAX,
  );

  it(
    'does not start with a key of another certificate, and says which file is wrong',
    async () => {
      const broken = await newFolder();
      const tls = `{ certfile: ${ours.cert}, keyfile: ${client.key} }`;
      const start = startService({ app: 'broker', configuration: `broker: { tls: ${tls} }\n`, folder: broken });
      await expect(start).rejects.toThrow(`broker.tls.keyfile: '${client.key}' is not the key of the certificate`);
      await removeFolder(broken);
    },
    START_MS_MAX,
  );
});

function shownSubject(port: number, ca: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: 'localhost', port, ca }, () => {
      resolve(socket.getPeerX509Certificate()?.subject ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
