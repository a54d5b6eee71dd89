import type { NotificationChannel, TargetKind } from '#dispatch';
import { dingTalkTargetKind } from './dingtalk/target.js';
import { emailTargetKind } from './email/target.js';
import { smsTargetKind } from './sms/target.js';
import { voiceTargetKind } from './voice/target.js';
import { webhookTargetKind } from './webhook/target.js';
import { wechatTargetKind } from './wechat/target.js';
import { wecomTargetKind } from './wecom/target.js';

const kinds: { [Channel in NotificationChannel]: TargetKind } = {
  email: emailTargetKind,
  sms: smsTargetKind,
  voice: voiceTargetKind,
  wecom: wecomTargetKind,
  wechat: wechatTargetKind,
  dingtalk: dingTalkTargetKind,
  webhook: webhookTargetKind,
};

/** What targets look like, for every built-in channel, whether a sender is configured for it or not. */
export const targetKinds: ReadonlyMap<NotificationChannel, TargetKind> = new Map(
  Object.values(kinds).map((kind) => [kind.channel, kind]),
);
