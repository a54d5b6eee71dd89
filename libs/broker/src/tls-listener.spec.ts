import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { PROTOCOL_HEADER } from '#amqp-codec';
import { type Authority, type CertificateFiles, hasOpenssl, makeAuthority } from '#testing';
import type { TlsOptions } from './tls-listener.js';
import { eventually, PeerDialogue, WireFixture } from './wire.harness.js';

const describeWithOpenssl = hasOpenssl() ? describe : describe.skip;

describeWithOpenssl('the TLS port', () => {
  let folder: string;
  let ours: Authority;
  let other: Authority;
  let server: CertificateFiles;
  let client: CertificateFiles;
  let fixture: WireFixture;
  let sockets: Socket[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tocsin-tls-'));
    ours = await makeAuthority(folder, 'ours');
    other = await makeAuthority(folder, 'other');
    server = await ours.issue('server');
    client = await ours.issue('client');
  });
  afterAll(() => rm(folder, { recursive: true }));
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await fixture.broker.close();
  });

  async function serves(options: Partial<TlsOptions> = {}): Promise<void> {
    fixture = new WireFixture();
    sockets = [];
    const texts = { cert: text(server.cert), key: text(server.key), ca: text(ours.cert) };
    const rest = { host: '127.0.0.1', port: 0, verify: 'none', failIfNoPeerCert: false } as const;
    await fixture.broker.listenTls({ ...texts, ...rest, ...options });
  }

  function connects(options: ConnectionOptions = {}): TLSSocket {
    const port = fixture.broker.tlsPort!;
    const socket = connect({ host: '127.0.0.1', port, ca: text(ours.cert), ...options });
    socket.on('error', () => {});
    sockets.push(socket);
    return socket;
  }

  const presenting = (files: CertificateFiles) => ({ cert: text(files.cert), key: text(files.key) });

  it('serves AMQP to a client that trusts the authority, and says how it is encrypted', async () => {
    await serves();
    const peer = new PeerDialogue(connects());
    await peer.handshakes();
    await peer.opens();
    await peer.declares('q');
    const { tls } = fixture.broker.stats().connections[0]!.peer;
    expect(tls).toMatchObject({ protocol: 'TLSv1.3', peerSubject: undefined });
    expect(tls?.cipher).toMatch(/^TLS_/);
  });

  it('is refused by a client that trusts another authority, and lives on', async () => {
    await serves();
    const socket = connects({ ca: text(other.cert) });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toMatch(/VERIFY|SELF_SIGNED/);
    await new PeerDialogue(connects()).handshakes();
  });

  it('with verify peer takes a trusted certificate, and a client without one unless it is demanded', async () => {
    await serves({ verify: 'peer' });
    await new PeerDialogue(connects()).handshakes();
    const peer = new PeerDialogue(connects(presenting(client)));
    await peer.handshakes();
    const subjects = fixture.broker.stats().connections.map(({ peer: { tls } }) => tls?.peerSubject);
    expect(subjects).toEqual([undefined, 'O=Tocsin test\nCN=client']);
  });

  it('with verify peer refuses a certificate of another authority', async () => {
    await serves({ verify: 'peer' });
    const socket = connects(presenting(await other.issue('stranger')));
    socket.write(PROTOCOL_HEADER);
    await once(socket, 'close');
    expect(fixture.broker.counters.connectionsOpened).toBe(0);
  });

  it('refuses a client without a certificate when one is demanded', async () => {
    await serves({ verify: 'peer', failIfNoPeerCert: true });
    const socket = connects();
    socket.write(PROTOCOL_HEADER);
    await once(socket, 'close');
    expect(fixture.broker.counters.connectionsOpened).toBe(0);
    await new PeerDialogue(connects(presenting(client))).handshakes();
  });

  it('cuts a client that speaks plain AMQP to it, and serves the next', async () => {
    await serves();
    const plain = connectPlain(fixture.broker.tlsPort!, '127.0.0.1');
    sockets.push(plain);
    plain.on('error', () => {});
    plain.write(PROTOCOL_HEADER);
    // Whatever TLS alert comes: it must be read for the end to be seen.
    plain.resume();
    await once(plain, 'close');
    await new PeerDialogue(connects()).handshakes();
  });

  it('is no part of the plain port, which answers a TLS hello with its header and the end', async () => {
    await serves();
    const plainPort = new WireFixture({ port: 0 });
    await plainPort.broker.listen();
    const socket = connects({ port: plainPort.broker.port });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ERR_SSL_WRONG_VERSION_NUMBER');
    await eventually(() => plainPort.broker.stats().connectionCount === 0);
    await plainPort.broker.close();
  });

  it('shows new certificates to new connections, keeps running ones, and keeps the old when the new are useless', async () => {
    await serves();
    const before = connects();
    const peer = new PeerDialogue(before);
    await peer.handshakes();
    const renewed = await ours.issue('renewed');
    fixture.broker.renewCertificates({ cert: text(renewed.cert), key: text(renewed.key) });
    expect(() => fixture.broker.renewCertificates({ cert: text(server.cert), key: text(client.key) })).toThrow(/key/);

    const after = connects();
    await new PeerDialogue(after).handshakes();
    expect(after.getPeerX509Certificate()?.subject).toContain('CN=renewed');
    await peer.opens();
  });
});

function text(path: string): string {
  return readFileSync(path, 'utf8');
}
