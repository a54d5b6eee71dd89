import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TlsConfiguration } from '#config';
import { type Authority, type CertificateFiles, hasOpenssl, makeAuthority } from '#testing';
import { readCertificates } from './tls-files.js';

const describeWithOpenssl = hasOpenssl() ? describe : describe.skip;

describeWithOpenssl('the files of broker.tls', () => {
  let folder: string;
  let authority: Authority;
  let server: CertificateFiles;
  let files: TlsConfiguration;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tocsin-tls-'));
    authority = await makeAuthority(folder);
    server = await authority.issue('server');
    const rest = { verify: 'peer', failIfNoPeerCert: false } as const;
    files = { certfile: server.cert, keyfile: server.key, cacertfile: authority.cert, ...rest };
    await writeFile(join(folder, 'empty.pem'), '');
    await writeFile(join(folder, 'torn.pem'), '-----BEGIN CERTIFICATE-----\nMIIB\n');
    await writeFile(join(folder, 'secret.pem'), '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n');
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('are read when they fit together', async () => {
    const { cert, key, ca } = await readCertificates(files);
    expect([cert, key, ca].every((text) => text?.startsWith('-----BEGIN'))).toBe(true);
  });

  it.each([
    ['certfile', 'absent.pem', 'cannot be read (ENOENT); name a PEM file that this user may read'],
    ['certfile', 'server.key', 'holds no certificate; a PEM file with -----BEGIN CERTIFICATE----- is due'],
    ['certfile', 'torn.pem', /cannot be used \(.*\); is it a complete PEM file\?/],
    ['keyfile', 'empty.pem', 'holds no private key; a PEM file with -----BEGIN PRIVATE KEY----- is due'],
    ['keyfile', 'secret.pem', 'is encrypted; name a key without a passphrase'],
    ['keyfile', 'ca.key', /is not the key of the certificate in '.*server\.pem'; name the one it was made with/],
    ['cacertfile', 'torn.pem', /cannot be used/],
  ] as const)('name the one that is wrong: %s %s', async (key, name, message) => {
    const path = join(folder, name);
    const problem = readCertificates({ ...files, [key]: path });
    await expect(problem).rejects.toThrow(`broker.tls.${key}: '${path}' `);
    await expect(problem).rejects.toThrow(message);
  });
});
