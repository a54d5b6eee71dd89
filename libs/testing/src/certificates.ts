import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hasDebianFile } from './debian.js';

const OPENSSL = '/usr/bin/openssl';
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'];

/** Whether `makeAuthority` works here; says which package is missing. */
export function hasOpenssl(): boolean {
  return hasDebianFile(OPENSSL, 'openssl');
}

/** A certificate and its key: paths of PEM files. */
export interface CertificateFiles {
  cert: string;
  key: string;
}

export interface Authority extends CertificateFiles {
  /** For localhost and 127.0.0.1, also as a client's. Files `<name>.pem` and `<name>.key` in the authority's folder. */
  issue(name: string): Promise<CertificateFiles>;
}

/** An authority of its own in `folder`, made with Debian's openssl. */
export async function makeAuthority(folder: string, name = 'ca'): Promise<Authority> {
  const files = filesIn(folder, name);
  const authority = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'];
  await openssl(['req', '-x509', ...KEY, ...outputs(files), '-subj', `/O=Tocsin test/CN=${name}`, ...authority]);
  return {
    ...files,
    async issue(issued) {
      const own = filesIn(folder, issued);
      const signer = ['-CA', files.cert, '-CAkey', files.key];
      const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-addext', 'basicConstraints=CA:FALSE'];
      await openssl([
        'req',
        '-x509',
        ...KEY,
        ...outputs(own),
        '-subj',
        `/O=Tocsin test/CN=${issued}`,
        ...signer,
        ...names,
      ]);
      return own;
    },
  };
}

function filesIn(folder: string, name: string): CertificateFiles {
  return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
}

function outputs({ cert, key }: CertificateFiles): string[] {
  return ['-out', cert, '-keyout', key];
}

async function openssl(parameters: string[]): Promise<void> {
  await promisify(execFile)(OPENSSL, parameters);
}
