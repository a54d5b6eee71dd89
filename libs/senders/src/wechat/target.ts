import { z } from 'zod';
import { defineTargetKind } from '../target/define-target-kind.js';
import { plainText } from '../target/fields.js';

const OPENID_CHARACTERS_MAX = 100;

/** A follower of the official account, by openid. */
export const wechatTargetKind = defineTargetKind({
  channel: 'wechat',
  schema: z.strictObject({ toUser: plainText(OPENID_CHARACTERS_MAX) }),
  identity: ({ toUser }) => toUser,
});
