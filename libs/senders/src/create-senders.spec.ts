import { afterEach, describe, expect, it } from '@jest/globals';
import type { Sender } from '#dispatch';
import { anEnvelope, startWebhookReceiver } from '#testing';
import { createSenders } from './create-senders.js';

const senders: Sender[] = [];

afterEach(async () => {
  for (const sender of senders.splice(0)) await sender.close();
});

describe('createSenders', () => {
  it('makes a sender for each configured channel and for no other', () => {
    const email = { url: 'smtp://127.0.0.1:1', from: 'a@example.com', timeoutMs: 1_000 };
    const made = createSenders({ email, dingtalk: { baseUrl: 'http://127.0.0.1:1', timeoutMs: 1_000 } });
    senders.push(...made.values());
    expect([...made.keys()].sort()).toEqual(['dingtalk', 'email']);
    expect(createSenders({}).size).toBe(0);
  });

  it('answers for a target that is none, naming the field and no value', async () => {
    const sender = aWebhookSender();
    const target = { url: 'geheim', secrets: 'geheim' };
    const request = { envelope: anEnvelope('webhook'), target, attempt: 1, mayRepeat: false };
    const outcome = await sender.send(request, new AbortController().signal);
    expect(outcome).toMatchObject({ outcome: 'permanent', reason: 'recipient' });
    expect(outcome.providerMessage).toMatch(/url: .*secrets: unknown field/);
    expect(outcome.providerMessage).not.toContain('geheim');
  });

  it('sends to a good one', async () => {
    const receiver = await startWebhookReceiver();
    const request = { envelope: anEnvelope('webhook'), target: { url: receiver.url }, attempt: 1, mayRepeat: false };
    expect(await aWebhookSender().send(request, new AbortController().signal)).toMatchObject({ outcome: 'accepted' });
    await receiver.stop();
  });
});

function aWebhookSender(): Sender {
  const sender = createSenders({ webhook: { timeoutMs: 20_000, allowPrivateAddresses: true } }).get('webhook');
  if (!sender) throw new Error('no webhook sender');
  senders.push(sender);
  return sender;
}
