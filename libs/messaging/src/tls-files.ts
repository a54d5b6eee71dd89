import { readFile } from 'node:fs/promises';

/** PEM files for `amqps://` URLs. */
export interface TlsFiles {
  /** Authorities that sign the broker's certificate; absent: those that Node.js knows. */
  caFile?: string | undefined;
  /** Our own certificate and its key, where the broker demands one. */
  certFile?: string | undefined;
  keyFile?: string | undefined;
}

export interface TlsTexts {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

const VARIABLES = { caFile: 'BROKER_CA_FILE', certFile: 'BROKER_CERT_FILE', keyFile: 'BROKER_KEY_FILE' } as const;

/** Read anew for each connection, so that renewed files count. @throws Error with one sentence that names the variable */
export async function readTlsFiles(files: TlsFiles): Promise<TlsTexts> {
  const [ca, cert, key] = await Promise.all([read(files, 'caFile'), read(files, 'certFile'), read(files, 'keyFile')]);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

async function read(files: TlsFiles, which: keyof TlsFiles): Promise<Buffer | undefined> {
  const path = files[which];
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Error(`${VARIABLES[which]}: cannot read '${path}' (${code})`, { cause });
  }
}
