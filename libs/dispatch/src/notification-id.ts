import { createHmac, timingSafeEqual } from 'node:crypto';

// 24 bytes: 16 that identify, 8 that prove we made it; as 39 digits of base 32 (0-9a-v), so an id survives a URL, a shell and a double click.
//
//   direct, no key     time (6) | random (10)           | MAC (8)       sorts by time
//   direct, with key   HMAC(token, idempotencyKey) (16) | MAC (8)       the same key gives the same id
//   from a flush       flush number (4) | HMAC(group key, flush, ...) (12) | MAC (8)   recomputing gives the same id
//   digest             HMAC(ids it covers) (16)         | MAC (8)
//
// A flush number begins with the second in which its group did (group.ts): ids made together are neighbours in an index, and share the pages a commit writes.
// The MAC covers the origin as well, so an id tells where it is from.
const BODY_BYTES = 16;
const MAC_BYTES = 8;
const TIME_BYTES = 6;
export const NOTIFICATION_ID_RANDOM_BYTES = BODY_BYTES - TIME_BYTES;
export const NOTIFICATION_ID_CHARACTERS = 39;
const MADE_BY = ['time', 'key', 'dispatch'] as const;
const SHAPE = /^[0-9a-v]{39}$/;

/** Where an id of ours is from. */
export type NotificationIdOrigin =
  /** `POST /api/v1/notifications` at that instant, ms. */
  | { madeBy: 'time'; at: number }
  /** `POST /api/v1/notifications` with an idempotency key, nobody knows when. */
  | { madeBy: 'key' }
  /** A flush or a digest: its row is written before anybody learns the id. */
  | { madeBy: 'dispatch' };

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
  return withMac(secret, body, 'time');
}

/** The id of what `token` posted under `idempotencyKey`: posting it again names the same notification. */
export function idFromKey(secret: Uint8Array, token: string, idempotencyKey: string): string {
  return withMac(secret, derive(secret, 'key', [token, idempotencyKey]), 'key');
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
  const parts = [groupKey, String(flushNumber), receiver, targetKey, String(part)];
  const body = derive(secret, 'flush', parts);
  body.writeUInt32BE(flushNumber >>> 0);
  return withMac(secret, body, 'dispatch');
}

/** The id of the digest of these notifications, whatever their order. */
export function idOfDigest(secret: Uint8Array, covers: readonly string[]): string {
  return withMac(secret, derive(secret, 'digest', [...covers].sort()), 'dispatch');
}

/** Where the id is from; `undefined` when this service (this secret) did not make it. */
export function originOfNotificationId(secret: Uint8Array, id: string): NotificationIdOrigin | undefined {
  if (!SHAPE.test(id)) return undefined;

  const bytes = Buffer.from(fromBase32(id), 'hex');
  if (bytes.length !== BODY_BYTES + MAC_BYTES) return undefined;
  const body = bytes.subarray(0, BODY_BYTES);
  const given = bytes.subarray(BODY_BYTES);
  const madeBy = MADE_BY.find((one) => timingSafeEqual(given, mac(secret, body, one)));
  return madeBy === 'time' ? { madeBy, at: body.readUIntBE(0, TIME_BYTES) } : madeBy && { madeBy };
}

function withMac(secret: Uint8Array, body: Buffer, madeBy: (typeof MADE_BY)[number]): string {
  const bytes = Buffer.concat([body, mac(secret, body, madeBy)]);
  return BigInt(`0x${bytes.toString('hex')}`)
    .toString(32)
    .padStart(NOTIFICATION_ID_CHARACTERS, '0');
}

function fromBase32(id: string): string {
  let value = 0n;
  for (const digit of id) value = value * 32n + BigInt(Number.parseInt(digit, 32));
  return value.toString(16).padStart((BODY_BYTES + MAC_BYTES) * 2, '0');
}

function mac(secret: Uint8Array, body: Uint8Array, madeBy: string): Buffer {
  return createHmac('sha256', secret)
    .update(`notification-id\0${madeBy}\0`)
    .update(body)
    .digest()
    .subarray(0, MAC_BYTES);
}

// Lengths go in with the parts: ('ab', 'c') and ('a', 'bc') must differ.
function derive(secret: Uint8Array, purpose: string, parts: readonly string[]): Buffer {
  const hmac = createHmac('sha256', secret).update(`${purpose}\0`);
  for (const part of parts) hmac.update(`${Buffer.byteLength(part)}\0`).update(part);
  return hmac.digest().subarray(0, BODY_BYTES);
}
