import { createHmac, timingSafeEqual } from 'node:crypto';

// 24 bytes: 16 that identify, 8 that prove we made it; as 39 digits of base 32 (0-9a-v), so an id survives a URL, a shell and a double click.
//
//   direct, no key     time (6) | random (10)           | MAC (8)       sorts by time
//   direct, with key   HMAC(token, idempotencyKey) (16) | MAC (8)       the same key gives the same id
//   from a flush       HMAC(group key, flush, ...) (16) | MAC (8)       recomputing gives the same id
//   digest             HMAC(ids it covers) (16)         | MAC (8)
const BODY_BYTES = 16;
const MAC_BYTES = 8;
const TIME_BYTES = 6;
export const NOTIFICATION_ID_RANDOM_BYTES = BODY_BYTES - TIME_BYTES;
export const NOTIFICATION_ID_CHARACTERS = 39;
const SHAPE = /^[0-9a-v]{39}$/;

/** A fresh id. `time` in milliseconds; `random`: `NOTIFICATION_ID_RANDOM_BYTES` bytes. */
export function createNotificationId(secret: Uint8Array, seed: { time: number; random: Uint8Array }): string {
  if (seed.random.length !== NOTIFICATION_ID_RANDOM_BYTES) {
    throw new RangeError(
      `a notification id takes ${NOTIFICATION_ID_RANDOM_BYTES} random bytes, not ${seed.random.length}`,
    );
  }
  const body = Buffer.alloc(BODY_BYTES);
  body.writeUIntBE(seed.time, 0, TIME_BYTES);
  body.set(seed.random, TIME_BYTES);
  return withMac(secret, body);
}

/** The id of what `token` posted under `idempotencyKey`: posting it again names the same notification. */
export function idFromKey(secret: Uint8Array, token: string, idempotencyKey: string): string {
  return withMac(secret, derive(secret, 'key', [token, idempotencyKey]));
}

export interface FlushTarget {
  groupKey: string;
  flushNumber: number;
  receiver: string;
  targetKey: string;
  /** A flush too large for one notification is told in parts, counted from 0. */
  part: number;
}

/** The id of what one target is told by one flush: computing the flush again gives the same. */
export function idOfFlush(secret: Uint8Array, flush: FlushTarget): string {
  const { groupKey, flushNumber, receiver, targetKey, part } = flush;
  return withMac(secret, derive(secret, 'flush', [groupKey, String(flushNumber), receiver, targetKey, String(part)]));
}

/** The id of the digest of these notifications, whatever their order. */
export function idOfDigest(secret: Uint8Array, covers: readonly string[]): string {
  return withMac(secret, derive(secret, 'digest', [...covers].sort()));
}

/** True when this service (this secret) made the id. */
export function verifyNotificationId(secret: Uint8Array, id: string): boolean {
  if (!SHAPE.test(id)) return false;

  const bytes = Buffer.from(fromBase32(id), 'hex');
  if (bytes.length !== BODY_BYTES + MAC_BYTES) return false;
  return timingSafeEqual(bytes.subarray(BODY_BYTES), mac(secret, bytes.subarray(0, BODY_BYTES)));
}

function withMac(secret: Uint8Array, body: Buffer): string {
  const bytes = Buffer.concat([body, mac(secret, body)]);
  return BigInt(`0x${bytes.toString('hex')}`)
    .toString(32)
    .padStart(NOTIFICATION_ID_CHARACTERS, '0');
}

function fromBase32(id: string): string {
  let value = 0n;
  for (const digit of id) value = value * 32n + BigInt(Number.parseInt(digit, 32));
  return value.toString(16).padStart((BODY_BYTES + MAC_BYTES) * 2, '0');
}

function mac(secret: Uint8Array, body: Uint8Array): Buffer {
  return createHmac('sha256', secret).update('notification-id\0').update(body).digest().subarray(0, MAC_BYTES);
}

// Lengths go in with the parts: ('ab', 'c') and ('a', 'bc') must differ.
function derive(secret: Uint8Array, purpose: string, parts: readonly string[]): Buffer {
  const hmac = createHmac('sha256', secret).update(`${purpose}\0`);
  for (const part of parts) hmac.update(`${Buffer.byteLength(part)}\0`).update(part);
  return hmac.digest().subarray(0, BODY_BYTES);
}
