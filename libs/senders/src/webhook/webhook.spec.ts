import { afterEach, describe, expect, it } from '@jest/globals';
import type { Envelope } from '#dispatch';
import { aGroupContent, anAlertView, anEnvelope, freePort, startWebhookReceiver, type WebhookReceiver } from '#testing';
import { WebhookSender } from './send.js';
import { sign } from './sign.js';

const never = new AbortController().signal;
/** As patient as any receiver needs, also on a busy machine. */
const PATIENT_MS = 20_000;
/** For what must run out: long enough for the request to arrive before. */
const IMPATIENT_MS = 2_000;
const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe('webhook: signature', () => {
  it('is that of Standard Webhooks', () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const body = Buffer.from('{"test": 2432232314}');
    expect(sign(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, body)).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });
});

describe('webhook: what arrives', () => {
  it("Alertmanager's version 4 for a group, signed", async () => {
    const { receiver, send } = await aReceiver({ secret: SECRET });
    const resolved = anAlertView({ status: 'resolved', endsAt: '2026-01-02T16:00:00Z' });
    const content = aGroupContent({ alerts: [anAlertView(), resolved] });
    expect(await send(anEnvelope('webhook', content), { secret: SECRET })).toMatchObject({
      outcome: 'accepted',
      providerCode: '204',
    });

    const [request] = receiver.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/hook', id: 'ntf-1', signature: 'valid' });
    expect(request?.headers['content-type']).toMatch(/^application\/json/);
    expect(request?.json).toMatchObject({
      version: '4',
      receiver: 'ops',
      status: 'firing',
      groupKey: '{}:{alertname="HighCPU"}',
      truncatedAlerts: 0,
      externalURL: '',
      notification_reason: 'first notification',
      groupLabels: { alertname: 'HighCPU' },
      alerts: [
        { status: 'firing', endsAt: '0001-01-01T00:00:00Z', fingerprint: 'cc6e49118c0ea32b' },
        { status: 'resolved', endsAt: '2026-01-02T16:00:00Z' },
      ],
      tocsin: { notificationId: 'ntf-1', kind: 'group', severity: 'critical', attempt: 1, mayRepeat: false },
    });
  });

  it('text and digest in our own fields', async () => {
    const { receiver, send } = await aReceiver();
    await send(anEnvelope('webhook', { kind: 'text', text: 'done' }));
    const covers = [{ id: 'a', severity: 'info' as const, title: 'Disk full' }];
    await send(anEnvelope('webhook', { kind: 'digest', covers }));
    const [text, digest] = receiver.requests;
    expect(text?.json).toMatchObject({ subject: '', text: 'done', tocsin: { kind: 'text' } });
    expect(text?.headers['webhook-signature']).toBeUndefined();
    expect(digest?.json).toMatchObject({ covers, tocsin: { kind: 'digest' } });
  });

  it("the target's headers and the user-info of its URL", async () => {
    const { receiver, send } = await aReceiver();
    await send(anEnvelope('webhook'), {
      url: `http://us%40er:pa%3Ass@127.0.0.1:${receiver.port}/x?y=1`,
      headers: { 'x-team': 'ops' },
    });
    const [request] = receiver.requests;
    expect(request?.headers['x-team']).toBe('ops');
    expect(request?.headers.authorization).toBe(`Basic ${Buffer.from('us@er:pa:ss').toString('base64')}`);
    expect(request?.query.get('y')).toBe('1');
  });
});

describe('webhook: what the receiver answers', () => {
  it.each([
    [200, {}, { outcome: 'accepted' }],
    [202, {}, { outcome: 'accepted' }],
    [302, { location: '/elsewhere' }, { outcome: 'configuration' }],
    [400, {}, { outcome: 'permanent', reason: 'refused' }],
    [401, {}, { outcome: 'permanent', reason: 'refused' }],
    [404, {}, { outcome: 'permanent', reason: 'refused' }],
    [408, {}, { outcome: 'retryable', reason: 'provider-busy' }],
    [410, {}, { outcome: 'configuration' }],
    [425, {}, { outcome: 'retryable', reason: 'provider-busy' }],
    [429, { 'retry-after': '7' }, { outcome: 'rate-limited', blockedForMs: 7_000 }],
    [429, {}, { outcome: 'rate-limited', blockedForMs: 60_000 }],
    [500, {}, { outcome: 'retryable', reason: 'provider-fault' }],
    [502, {}, { outcome: 'retryable', reason: 'provider-busy' }],
    [503, { 'retry-after': '3' }, { outcome: 'retryable', reason: 'provider-busy', afterMs: 3_000 }],
    [503, { 'retry-after': '99999999' }, { outcome: 'retryable', afterMs: 3_600_000 }],
    [503, { 'retry-after': 'soon' }, { outcome: 'retryable', afterMs: undefined }],
  ])('%i with %j', async (status, headers, expected) => {
    const { receiver, send } = await aReceiver();
    receiver.answerNext(status, headers as Record<string, string>, 'told so');
    const outcome = await send(anEnvelope('webhook'));
    expect(outcome).toMatchObject({ ...expected, providerCode: String(status), providerMessage: 'told so' });
    expect(receiver.requests).toHaveLength(1);
  });

  it('Retry-After as a date', async () => {
    const { receiver, send } = await aReceiver();
    receiver.answerNext(503, { 'retry-after': new Date(Date.now() + 120_000).toUTCString() });
    const outcome = await send(anEnvelope('webhook'));
    expect(outcome).toMatchObject({ afterMs: expect.any(Number) });
    expect((outcome as { afterMs: number }).afterMs).toBeGreaterThan(110_000);
  });

  it('a wrong signature is refused', async () => {
    const { send } = await aReceiver({ secret: SECRET });
    expect(await send(anEnvelope('webhook'))).toMatchObject({ outcome: 'permanent', providerCode: '401' });
  });

  it('an endless answer is read only in part, and its status counts', async () => {
    const { receiver, send } = await aReceiver();
    receiver.answerNext(200, {}, 'x'.repeat(1_000_000));
    const outcome = await send(anEnvelope('webhook'));
    expect(outcome).toMatchObject({ outcome: 'accepted' });
    expect(outcome.providerMessage?.length).toBeLessThanOrEqual(500);
  });
});

describe('webhook: what the network does', () => {
  it.each(['reset', 'hang'] as const)('%s after the request: unknown', async (fault) => {
    const { receiver, send } = await aReceiver({}, fault === 'hang' ? IMPATIENT_MS : PATIENT_MS);
    receiver.faultNext(fault);
    expect(await send(anEnvelope('webhook'))).toMatchObject({ outcome: 'unknown', reason: 'no-answer' });
    expect(receiver.requests).toHaveLength(1);
  });

  it('a 2xx whose body never ends is accepted', async () => {
    const { receiver, send } = await aReceiver({}, IMPATIENT_MS);
    receiver.answerNext(200, {}, 'a long answer');
    receiver.faultNext('slow-body');
    expect(await send(anEnvelope('webhook'))).toMatchObject({ outcome: 'accepted' });
  });

  it('nobody listens, no such name, no TLS: retryable', async () => {
    const { receiver, send } = await aReceiver();
    const urls = [
      `http://127.0.0.1:${await freePort()}`,
      'http://hook.invalid/',
      `https://127.0.0.1:${receiver.port}/`,
    ];
    for (const url of urls) {
      expect(await send(anEnvelope('webhook'), { url })).toMatchObject({ outcome: 'retryable', reason: 'network' });
    }
  });

  it('no outcome tells the URL or the headers', async () => {
    const { receiver, send } = await aReceiver({}, IMPATIENT_MS);
    const url = `http://geheim-user:geheim-pass@127.0.0.1:${receiver.port}/geheim-path?key=geheim-query`;
    const target = { url, headers: { authorization: 'Bearer geheim-header' }, secret: SECRET };
    receiver.answerNext(500, {}, `POST ${url} Bearer geheim-header /geheim-path ?key=geheim-query ${SECRET}`);
    const outcomes = [await send(anEnvelope('webhook'), target)];
    receiver.faultNext('reset', 'hang');
    outcomes.push(await send(anEnvelope('webhook'), target), await send(anEnvelope('webhook'), target));
    await receiver.stop();
    outcomes.push(await send(anEnvelope('webhook'), target));
    expect(JSON.stringify(outcomes)).not.toMatch(/geheim|whsec_/);
  });
});

describe('webhook: private addresses', () => {
  it.each(['127.0.0.1', 'localhost', '[::1]', '2130706433', '[::ffff:127.0.0.1]', '0.0.0.0'])(
    '%s is refused before anything is sent, unless allowed',
    async (host) => {
      const { receiver } = await aReceiver();
      const sender = new WebhookSender({ timeoutMs: PATIENT_MS, allowPrivateAddresses: false });
      const outcome = await sendWith(sender, anEnvelope('webhook'), { url: `http://${host}:${receiver.port}/hook` });
      expect(outcome).toMatchObject({ outcome: 'configuration', providerCode: 'EPRIVATEADDRESS' });
      expect(outcome.providerMessage).toContain('allowPrivateAddresses');
      expect(receiver.requests).toHaveLength(0);
    },
  );
});

async function aReceiver(options: { secret?: string } = {}, timeoutMs = PATIENT_MS) {
  const receiver: WebhookReceiver = await startWebhookReceiver(options);
  closers.push(() => receiver.stop());
  const sender = new WebhookSender({ timeoutMs, allowPrivateAddresses: true });
  const send = (envelope: Envelope, target: Record<string, unknown> = {}) =>
    sendWith(sender, envelope, { url: `${receiver.url}/hook`, ...target });
  return { receiver, send };
}

function sendWith(sender: WebhookSender, envelope: Envelope, target: Record<string, unknown>) {
  return sender.send({ envelope, target, attempt: 1, mayRepeat: false }, never);
}
