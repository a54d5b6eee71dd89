import { afterEach, describe, expect, it } from '@jest/globals';
import type { Envelope } from '#dispatch';
import { aGroupContent, anAlertView, anEnvelope, freePort, type SmtpSimulator, startSmtpServer } from '#testing';
import { EmailSender } from './send.js';

const never = new AbortController().signal;
/** As patient as any server needs, also on a busy machine. */
const PATIENT_MS = 20_000;
/** For what must run out: long enough for what comes before. */
const IMPATIENT_MS = 2_000;
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe('email: what arrives', () => {
  it('lists every alert of the group, in text and HTML', async () => {
    const { server, send } = await aServer();
    const alerts = [
      anAlertView({ labels: { alertname: 'HighCPU', instance: 'web-1' } }),
      anAlertView({
        labels: { alertname: 'HighCPU', instance: 'web-2' },
        annotations: { summary: '告警 <b>', runbook: 'x' },
      }),
      anAlertView({
        labels: { alertname: 'HighCPU', instance: 'web-3' },
        status: 'resolved',
        endsAt: '2026-01-02T16:00:00Z',
      }),
    ];
    expect(await send(anEnvelope('email', aGroupContent({ alerts })))).toMatchObject({ outcome: 'accepted' });

    const [mail] = await server.waitForMails(1, PATIENT_MS);
    expect(mail?.subject).toBe('[FIRING:2] HighCPU (severity=critical)');
    expect(mail?.recipients).toEqual(['ops@example.com']);
    expect(mail?.sender).toBe('alerts@example.com');
    for (const part of ['web-1', 'web-2', 'web-3', 'Firing (2)', 'Resolved (1)', '告警 <b>', 'runbook: x']) {
      expect(mail?.text).toContain(part);
    }
    expect(mail?.html).toContain('告警 &#60;b&#62;');
    expect(mail?.html).toContain('web-3');
  });

  it('carries ids that stay the same at every attempt, and the thread of its group', async () => {
    const { server, send } = await aServer();
    await send(anEnvelope('email'));
    await send(anEnvelope('email'), { attempt: 2, mayRepeat: true });
    await send(anEnvelope('email', aGroupContent(), 'ntf-2'));

    const [first, again, other] = await server.waitForMails(3, PATIENT_MS);
    expect(first?.messageId).toBe('<ntf-1@example.com>');
    expect(again?.messageId).toBe(first?.messageId);
    expect(again?.text).toContain('may repeat');
    expect(again?.headers['x-tocsin-may-repeat']).toBe('true');
    expect(first?.text).not.toContain('may repeat');
    expect(other?.messageId).toBe('<ntf-2@example.com>');
    expect(first?.headers['auto-submitted']).toBe('auto-generated');
    expect(first?.headers['references']).toMatch(/^<group-[0-9a-f]{32}@example.com>$/);
    expect(other?.headers['references']).toBe(first?.headers['references']);
    expect(server.duplicates()).toEqual({ byMessageId: 1, byNotification: 1 });
  });

  it('names every member of a digest', async () => {
    const { server, send } = await aServer();
    const covers = Array.from({ length: 60 }, (_, index) => ({
      id: `n${index}`,
      severity: 'warning' as const,
      title: `Disk ${index} full`,
    }));
    await send(anEnvelope('email', { kind: 'digest', covers }));
    const [mail] = await server.waitForMails(1, PATIENT_MS);
    expect(mail?.subject).toBe('[DIGEST:60] 60 notifications');
    expect(mail?.text.match(/^- \[warning\] Disk \d+ full$/gm)).toHaveLength(60);
  });

  it('sends a text as it is, to everybody named', async () => {
    const { server, send } = await aServer();
    const target = { to: ['a@example.com'], cc: ['b@example.com'], replyTo: ['desk@example.com'] };
    await send(anEnvelope('email', { kind: 'text', subject: 'Deploy', text: 'done\n\n.dot' }), { target });
    const [mail] = await server.waitForMails(1, PATIENT_MS);
    expect(mail?.recipients).toEqual(['a@example.com', 'b@example.com']);
    expect(mail?.headers['reply-to']).toBe('desk@example.com');
    expect(mail?.text).toContain('done\n\n.dot');
  });
});

describe('email: what the server answers', () => {
  it.each([
    [550, 'recipient', 'permanent', 'recipient'],
    [553, 'recipient', 'permanent', 'recipient'],
    [552, 'recipient', 'permanent', 'recipient'],
    [552, 'data', 'permanent', 'content'],
    [554, 'data', 'permanent', 'refused'],
    [550, 'data', 'permanent', 'refused'],
    [550, 'mail', 'configuration', 'configuration'],
    [530, 'mail', 'configuration', 'configuration'],
    [450, 'recipient', 'retryable', 'provider-busy'],
    [451, 'data', 'retryable', 'provider-busy'],
    [452, 'recipient', 'retryable', 'provider-busy'],
    [421, 'recipient', 'retryable', 'provider-busy'],
    [503, 'recipient', 'retryable', 'provider-fault'],
    [500, 'data', 'permanent', 'refused'],
  ] as const)('%i at %s is %s, %s', async (code, stage, outcome, reason) => {
    const { server, send } = await aServer();
    server.answerAll(code, 'told so', stage);
    const result = await send(anEnvelope('email'));
    expect(result).toMatchObject({ outcome, reason, providerCode: String(code) });
    expect(result.providerMessage).toContain('told so');

    server.accept();
    expect(await send(anEnvelope('email'))).toMatchObject({ outcome: 'accepted' });
  });

  it('a wrong password is a matter of configuration and is not repeated in the answer', async () => {
    const { send } = await aServer({ auth: { user: 'tocsin', password: 'right' } }, 'tocsin:geheim@');
    const result = await send(anEnvelope('email'));
    expect(result).toMatchObject({ outcome: 'configuration', providerCode: '535' });
    expect(JSON.stringify(result)).not.toContain('geheim');
  });

  it('some recipients refused: accepted, and the record names them', async () => {
    const { server, send } = await aServer({
      onRecipient: (address) => (address.startsWith('gone') ? { code: 550, text: `no mailbox ${address}` } : undefined),
    });
    const result = await send(anEnvelope('email'), { target: { to: ['a@example.com', 'gone@example.com'] } });
    expect(result).toMatchObject({ outcome: 'accepted', providerMessage: expect.stringContaining('gone@example.com') });
    expect(server.mails[0]?.recipients).toEqual(['a@example.com']);
  });

  it.each([
    [[550, 550], 'permanent'],
    [[550, 452], 'retryable'],
    [[452, 550], 'retryable'],
  ])('all recipients refused with %j: %s', async (codes, outcome) => {
    const { send } = await aServer({
      onRecipient: (address) => ({ code: codes[address.startsWith('a') ? 0 : 1] ?? 0, text: 'no' }),
    });
    const result = await send(anEnvelope('email'), { target: { to: ['a@example.com', 'b@example.com'] } });
    expect(result.outcome).toBe(outcome);
  });
});

describe('email: what the network does', () => {
  it('nobody listens: retryable', async () => {
    const sender = aSender(`smtp://127.0.0.1:${await freePort()}`);
    expect(await sendWith(sender, anEnvelope('email'))).toMatchObject({ outcome: 'retryable', reason: 'network' });
  });

  it('the name does not resolve: retryable', async () => {
    const sender = aSender('smtp://mail.invalid:25');
    expect(await sendWith(sender, anEnvelope('email'))).toMatchObject({ outcome: 'retryable', reason: 'network' });
  });

  it('no greeting: retryable', async () => {
    const { server, send } = await aServer({}, '', IMPATIENT_MS);
    server.faultNext('no-greeting');
    expect(await send(anEnvelope('email'))).toMatchObject({ outcome: 'retryable', reason: 'timeout' });
    expect(await send(anEnvelope('email'))).toMatchObject({ outcome: 'accepted' });
  });

  it('the connection breaks after the message was written: unknown', async () => {
    const { server, send } = await aServer();
    server.faultNext('drop-after-data');
    expect(await send(anEnvelope('email'))).toMatchObject({ outcome: 'unknown', reason: 'no-answer' });
    expect(server.mails).toHaveLength(1);
  });

  it('no answer after the message was written: unknown', async () => {
    const { server, send } = await aServer({}, '', IMPATIENT_MS);
    server.faultNext('hang-after-data');
    expect(await send(anEnvelope('email'))).toMatchObject({ outcome: 'unknown', reason: 'no-answer' });
  });

  it('aborted after the message was written: unknown; before: retryable', async () => {
    const { server, send } = await aServer();
    server.faultNext('hang-after-data');
    const stopping = new AbortController();
    const sending = send(anEnvelope('email'), {}, stopping.signal);
    await server.waitForMails(1, PATIENT_MS);
    stopping.abort();
    expect(await sending).toMatchObject({ outcome: 'unknown', reason: 'no-answer' });
    expect(await send(anEnvelope('email'), {}, AbortSignal.abort())).toMatchObject({
      outcome: 'retryable',
      reason: 'aborted',
    });
  });

  it('the server goes away and comes back: sends again on new connections', async () => {
    const { server, send } = await aServer();
    expect(await send(anEnvelope('email'))).toMatchObject({ outcome: 'accepted' });
    await server.stop();
    expect(await send(anEnvelope('email'))).toMatchObject({ outcome: 'retryable', reason: 'network' });
    await server.start();
    expect(await send(anEnvelope('email'))).toMatchObject({ outcome: 'accepted' });
  });

  it('a hundred at once share a few connections', async () => {
    const { server, send } = await aServer();
    const envelopes = Array.from({ length: 100 }, (_, index) => anEnvelope('email', aGroupContent(), `n${index}`));
    const outcomes = await Promise.all(envelopes.map((envelope) => send(envelope)));
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['accepted']));
    expect(server.connections).toBeLessThanOrEqual(5);
    expect(server.duplicates()).toEqual({ byMessageId: 0, byNotification: 0 });
  });
});

type Change = { target?: Record<string, unknown>; attempt?: number; mayRepeat?: boolean };

async function aServer(options: Parameters<typeof startSmtpServer>[0] = {}, login = '', timeoutMs = PATIENT_MS) {
  const server: SmtpSimulator = await startSmtpServer(options);
  closers.push(() => server.stop());
  const sender = aSender(server.url.replace('//', `//${login}`), timeoutMs);
  const send = (envelope: Envelope, change: Change = {}, signal = never) => sendWith(sender, envelope, change, signal);
  return { server, send };
}

function aSender(url: string, timeoutMs = PATIENT_MS): EmailSender {
  const sender = new EmailSender({ url, from: 'Tocsin <alerts@example.com>', timeoutMs });
  closers.push(() => sender.close());
  return sender;
}

function sendWith(sender: EmailSender, envelope: Envelope, change: Change = {}, signal = never) {
  return sender.send(
    { envelope, target: { to: ['ops@example.com'] }, attempt: 1, mayRepeat: false, ...change },
    signal,
  );
}
