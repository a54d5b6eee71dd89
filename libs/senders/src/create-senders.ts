import type { NotificationChannel, Outcome, Sender, SendRequest } from '#dispatch';
import { DingTalkSender, type DingTalkSettings } from './dingtalk/send.js';
import { EmailSender, type EmailSettings } from './email/send.js';
import { targetKinds } from './target-kinds.js';
import { WebhookSender, type WebhookSettings } from './webhook/send.js';

/** What `tocsin.yaml` says under `senders`. A channel without settings has no sender. */
export interface SenderSettings {
  email?: EmailSettings;
  dingtalk?: DingTalkSettings;
  webhook?: WebhookSettings;
}

/** The configured senders. Whoever asked for them closes each. */
export function createSenders(settings: SenderSettings): Map<NotificationChannel, Sender> {
  const { email, dingtalk, webhook } = settings;
  const senders: Sender[] = [];
  if (email) senders.push(new EmailSender(email));
  if (dingtalk) senders.push(new DingTalkSender(dingtalk));
  if (webhook) senders.push(new WebhookSender(webhook));
  return new Map(senders.map((sender) => [sender.channel, new TargetCheck(sender)]));
}

/** Anyone may publish a notification, and rules change between releases: a target is checked again where it is used. */
class TargetCheck implements Sender {
  readonly channel: NotificationChannel;

  constructor(private readonly sender: Sender) {
    this.channel = sender.channel;
  }

  async send(request: SendRequest, signal: AbortSignal): Promise<Outcome> {
    const parsed = targetKinds.get(this.channel)?.parse(request.target);
    if (parsed?.ok) return this.sender.send({ ...request, target: parsed.target }, signal);

    const problems = parsed?.problems.map(({ field, message }) => `${field}: ${message}`) ?? [];
    return { outcome: 'permanent', reason: 'recipient', providerMessage: `target: ${problems.join('; ')}` };
  }

  close(): Promise<void> {
    return this.sender.close();
  }
}
