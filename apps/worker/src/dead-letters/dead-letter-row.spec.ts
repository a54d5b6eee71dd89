import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '#dispatch';
import { type Delivery, HEADERS, UNPARSEABLE_KEY } from '#messaging';
import { deadLetterRow } from './dead-letter-row.js';

const envelope: Envelope = {
  version: 1,
  id: 'n1',
  channel: 'email',
  target: { to: 'ops@example.com' },
  targetKey: 'email:ops',
  severity: 'info',
  createdAt: '2026-01-01T00:00:00Z',
  content: { kind: 'text', text: 'disk full' },
};

describe('a row to review', () => {
  it('names the notification, why it was given up, after how many attempts and when', () => {
    const failedAt = '2026-01-01T00:00:07.000Z';
    const row = deadLetterRow(
      dead({
        [HEADERS.reason]: 'recipient',
        [HEADERS.detail]: '550',
        [HEADERS.attempt]: 2,
        [HEADERS.failedAt]: failedAt,
      }),
      0,
    );
    expect(row).toEqual({
      id: 'n1/2',
      notificationId: 'n1',
      channel: 'email',
      targetKey: 'email:ops',
      reason: 'recipient',
      detail: '550',
      attempts: 2,
      failedAt: Date.parse(failedAt),
      payload: JSON.stringify(envelope),
    });
  });

  it('keeps what could not be read byte for byte, under an id of its own bytes', () => {
    const body = Buffer.from([0, 255, 1]);
    const headers = { [HEADERS.detail]: 'no JSON', [HEADERS.source]: 'dispatch' };
    const row = deadLetterRow(dead(headers, body, UNPARSEABLE_KEY), 42);
    expect(row).toMatchObject({ reason: 'unparseable', attempts: 0, failedAt: 42, detail: 'no JSON (from dispatch)' });
    expect(Buffer.from(row.payload, 'base64')).toEqual(body);
    expect(row).toEqual(deadLetterRow(dead(headers, body, UNPARSEABLE_KEY), 42));
  });

  it('takes a message of a stranger without our headers', () => {
    expect(deadLetterRow(dead({ [HEADERS.reason]: 'because' }, Buffer.from('?')), 42)).toMatchObject({
      reason: 'unparseable',
      attempts: 0,
    });
  });
});

function dead(headers: Record<string, unknown>, body = Buffer.from(JSON.stringify(envelope)), routingKey = 'email') {
  return { headers, body, routingKey } as Delivery;
}
