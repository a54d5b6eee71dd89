import type { NotificationChannel, Sender } from '#dispatch';
import { DingTalkSender, type DingTalkSettings } from './dingtalk/send.js';
import { EmailSender, type EmailSettings } from './email/send.js';
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
  return new Map(senders.map((sender) => [sender.channel, sender]));
}
