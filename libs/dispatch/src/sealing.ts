import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { SealedTarget } from './notification.js';

// sealed:v1:<base64url of iv (12) | tag (16) | AES-256-GCM of the value's JSON>; the field's name is authenticated with it,
// so a sealed value moved to another field does not open.
export const SEALED_PREFIX = 'sealed:v1:';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A sealed field cannot be opened: another key, or a damaged value. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

/**
 * The target with each of `secretFields` sealed. Compute `targetKey` before: two seals of one secret differ.
 * A value that already looks sealed is sealed too: nobody may hand in another's sealed secret as their own.
 */
export function sealTarget(
  target: Readonly<Record<string, unknown>>,
  secretFields: readonly string[],
  key: Uint8Array,
): SealedTarget {
  const sealed: SealedTarget = { ...target };
  for (const field of secretFields) {
    if (sealed[field] !== undefined) sealed[field] = seal(field, sealed[field], key);
  }
  return sealed;
}

/** The target in clear. Throws `SealError` when a field does not open with this key; a field that is not sealed stays. */
export function openTarget(
  sealed: Readonly<SealedTarget>,
  secretFields: readonly string[],
  key: Uint8Array,
): Record<string, unknown> {
  const target: Record<string, unknown> = { ...sealed };
  for (const field of secretFields) {
    if (isSealed(target[field])) target[field] = open(field, target[field], key);
  }
  return target;
}

export function isSealed(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith(SEALED_PREFIX);
}

function seal(field: string, value: unknown, key: Uint8Array): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', sealingKey(key), iv).setAAD(Buffer.from(field));
  const encrypted = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
  return SEALED_PREFIX + Buffer.concat([iv, cipher.getAuthTag(), encrypted]).toString('base64url');
}

function open(field: string, value: string, key: Uint8Array): unknown {
  const bytes = Buffer.from(value.slice(SEALED_PREFIX.length), 'base64url');
  try {
    const decipher = createDecipheriv('aes-256-gcm', sealingKey(key), bytes.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(Buffer.from(field))
      .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    const encrypted = bytes.subarray(IV_BYTES + TAG_BYTES);
    return JSON.parse(Buffer.concat([decipher.update(encrypted), decipher.final()]).toString('utf8'));
  } catch (cause) {
    throw new SealError(
      `field '${field}' does not open: it was sealed with another key, or is damaged; start with the TOCSIN_SECRET_KEY (or the key file in the data folder) it was sealed with`,
      { cause },
    );
  }
}

// The same secret also signs notification ids; each use gets a key of its own.
function sealingKey(secret: Uint8Array): Buffer {
  return createHmac('sha256', secret).update('seal-target').digest();
}
