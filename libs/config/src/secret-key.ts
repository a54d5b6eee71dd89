import { scryptSync } from 'node:crypto';

export const SECRET_KEY_BYTES = 32;

/** Fixed, as every process must derive the same key from the same text without sharing anything else. */
const SALT = 'tocsin secret key v1';

/** 32 bytes written as hex or base64(url) are the key; any other text is stretched with scrypt (N 16384, r 8, p 1). */
export function parseSecretKey(text: string): Buffer {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, 'base64');
  return scryptSync(text, SALT, SECRET_KEY_BYTES);
}
