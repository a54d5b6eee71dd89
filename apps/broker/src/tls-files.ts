import { createPrivateKey, X509Certificate } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Certificates } from '#broker';
import type { TlsConfiguration } from '#config';

const WATCH_MS = 2_000;

type FileKey = 'certfile' | 'keyfile' | 'cacertfile';

/** Reads and checks the files of `broker.tls`. @throws Error with one sentence: which file, what is wrong, what to do */
export async function readCertificates(tls: TlsConfiguration): Promise<Certificates> {
  const cert = await readPem('certfile', tls.certfile, 'CERTIFICATE');
  const key = await readPem('keyfile', tls.keyfile, 'PRIVATE KEY');
  const ca = tls.cacertfile === undefined ? undefined : await readPem('cacertfile', tls.cacertfile, 'CERTIFICATE');
  const certificate = parsed('certfile', tls.certfile, () => new X509Certificate(cert));
  if (key.includes('ENCRYPTED')) throw flaw('keyfile', tls.keyfile, 'is encrypted; name a key without a passphrase');
  const privateKey = parsed('keyfile', tls.keyfile, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw flaw(
      'keyfile',
      tls.keyfile,
      `is not the key of the certificate in '${tls.certfile}'; name the one it was made with`,
    );
  }
  if (ca !== undefined) parsed('cacertfile', tls.cacertfile!, () => new X509Certificate(ca));
  return { cert, key, ca };
}

/** Calls back when one of the files was replaced. Returns the function that ends it. */
export function watchCertificates(tls: TlsConfiguration, onChanged: () => void): () => void {
  const paths = [tls.certfile, tls.keyfile, tls.cacertfile].filter((path) => path !== undefined);
  // Asked by name each time, so that a symbolic link may be turned to another file.
  for (const path of paths) watchFile(path, { interval: WATCH_MS, persistent: false }, onChanged);
  return () => {
    for (const path of paths) unwatchFile(path, onChanged);
  };
}

async function readPem(key: FileKey, path: string, label: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw flaw(key, path, `cannot be read (${error.code}); name a PEM file that this user may read`);
  });
  if (new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(text)) return text;
  throw flaw(key, path, `holds no ${label.toLowerCase()}; a PEM file with -----BEGIN ${label}----- is due`);
}

function parsed<Result>(key: FileKey, path: string, parse: () => Result): Result {
  try {
    return parse();
  } catch (cause) {
    throw flaw(key, path, `cannot be used (${(cause as Error).message}); is it a complete PEM file?`, cause);
  }
}

function flaw(key: FileKey, path: string, problem: string, cause?: unknown): Error {
  return new Error(`broker.tls.${key}: '${path}' ${problem}`, { cause });
}
