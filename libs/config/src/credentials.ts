import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigurationError } from './configuration-error.js';
import { SECRET_KEY_BYTES } from './secret-key.js';

export interface Credentials {
  ingestToken: string;
  adminPassword: string;
  /** Base64. */
  secretKey: string;
}

const CREDENTIALS_FILE = 'credentials.json';

const credentialsSchema = z.object({
  ingestToken: z.string().min(1),
  adminPassword: z.string().min(1),
  secretKey: z.string().refine((text) => Buffer.from(text, 'base64').length === SECRET_KEY_BYTES),
});

/**
 * The credentials of a data folder, made at random at its first use and kept in `credentials.json`, mode 0600.
 * Two processes may come at once: both get what the first one wrote, and only that one has `isNew`.
 */
export async function keepCredentials(
  dataDirectory: string,
): Promise<{ credentials: Credentials; isNew: boolean; file: string }> {
  const file = join(dataDirectory, CREDENTIALS_FILE);
  const kept = await readCredentials(file);
  if (kept) return { credentials: kept, isNew: false, file };

  const made: Credentials = {
    ingestToken: randomBytes(24).toString('base64url'),
    adminPassword: randomBytes(15).toString('base64url'),
    secretKey: randomBytes(SECRET_KEY_BYTES).toString('base64'),
  };
  await mkdir(dataDirectory, { recursive: true });
  if (await createOnce(dataDirectory, file, `${JSON.stringify(made, null, 2)}\n`)) {
    return { credentials: made, isNew: true, file };
  }
  const theirs = await readCredentials(file);
  if (!theirs) throw new ConfigurationError([{ where: file, message: 'disappeared while it was read; start again' }]);
  return { credentials: theirs, isNew: false, file };
}

async function readCredentials(file: string): Promise<Credentials | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ConfigurationError([{ where: file, message: `cannot be read (${(cause as Error).message})` }], { cause });
  }
  const parsed = credentialsSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new ConfigurationError([
    {
      where: file,
      message:
        'does not hold ingestToken, adminPassword and secretKey; restore it from a backup, or delete it to get new ones (targets sealed with the old key are lost)',
    },
  ]);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Reported with every other wrong shape by the caller; the parser's message would quote a secret.
    return undefined;
  }
}

/** `link` publishes the whole, synced file or fails with EEXIST: no reader sees half of it, no second writer replaces it. */
async function createOnce(folder: string, file: string, content: string): Promise<boolean> {
  const draft = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
  await syncFolder(folder);
  return true;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}
