import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

// RabbitMQ's format: base64 of a salt of 4 bytes and the digest of salt and password.

const SALT_BYTES = 4;

/** RabbitMQ's names of the algorithms, each with its digest. */
export const HASHING_ALGORITHMS = {
  rabbit_password_hashing_sha256: 'sha256',
  rabbit_password_hashing_sha512: 'sha512',
} as const;

export type HashingAlgorithm = keyof typeof HASHING_ALGORITHMS;

export const DEFAULT_HASHING: HashingAlgorithm = 'rabbit_password_hashing_sha256';

export function isHashingAlgorithm(name: string): name is HashingAlgorithm {
  return Object.hasOwn(HASHING_ALGORITHMS, name);
}

export function hashPassword(password: string, algorithm: HashingAlgorithm = DEFAULT_HASHING): string {
  const salt = randomBytes(SALT_BYTES);
  return Buffer.concat([salt, digest(salt, password, algorithm)]).toString('base64');
}

/** Takes the same time whatever it is compared with. An empty hash is nobody's password, and neither is an empty password. */
export function isPassword(password: string, hash: string, algorithm: HashingAlgorithm): boolean {
  const stored = Buffer.from(hash, 'base64');
  const found = digest(stored.subarray(0, SALT_BYTES), password, algorithm);
  const expected = Buffer.alloc(found.length);
  expected.set(stored.subarray(SALT_BYTES, SALT_BYTES + expected.length));
  const isSame = timingSafeEqual(found, expected);
  return isSame && stored.length === SALT_BYTES + found.length && password !== '';
}

function digest(salt: Buffer, password: string, algorithm: HashingAlgorithm): Buffer {
  return createHash(HASHING_ALGORITHMS[algorithm]).update(salt).update(password, 'utf8').digest();
}

/** Equal texts take the same time as different ones; what an outsider learns is the length at most. */
export function isSameText(one: string, other: string): boolean {
  const hashes = [one, other].map((text) => createHash('sha256').update(text, 'utf8').digest());
  return timingSafeEqual(hashes[0]!, hashes[1]!);
}
