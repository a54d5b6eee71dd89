import { createHmac } from 'node:crypto';

/** DingTalk's signature (custom robot, 加签): HMAC-SHA256 of `timestamp\nsecret` under the secret, base64. To be URL-encoded. */
export function sign(timestampMs: number, secret: string): string {
  return createHmac('sha256', secret).update(`${timestampMs}\n${secret}`).digest('base64');
}
