import { z } from 'zod';
import type { TargetKind } from '#dispatch';
import { defineTargetKind, fingerprintOf } from '../target/define-target-kind.js';
import { oneOrMany, plainText } from '../target/fields.js';

/** developer.work.weixin.qq.com 99110: 20 messages a minute and robot; longer by the longest way from our count to theirs. */
const ROBOT_MESSAGES_PER_MINUTE = 20;
const ROBOT_WINDOW_MS = 72_000;
/** Of the 4,096 bytes of a robot's markdown message; an application message carries 2,048 and is sent in parts. */
const DIGEST_BYTES_MAX = 3_500;
/** 90236: at most 1,000 users, 100 departments, 100 tags. */
const USERS_MAX = 1_000;
const PARTIES_MAX = 100;
const TAGS_MAX = 100;

const robotTarget = z.strictObject({ key: plainText(200) });
const id = plainText(64).regex(/^[^|]*$/, 'must not contain |');
const memberTarget = z
  .strictObject({
    toUser: oneOrMany(id, USERS_MAX).optional(),
    toParty: oneOrMany(id, PARTIES_MAX).optional(),
    toTag: oneOrMany(id, TAGS_MAX).optional(),
  })
  .refine(({ toUser, toParty, toTag }) => toUser ?? toParty ?? toTag, {
    path: ['toUser'],
    message: 'name key (a group robot) or one of toUser, toParty, toTag (the application message)',
  });

const robotKind = defineTargetKind({
  channel: 'wecom',
  schema: robotTarget,
  secretFields: ['key'],
  identity: ({ key }) => fingerprintOf(key),
  budgets: ({ key }) => [
    { name: `wecom:${fingerprintOf(key)}`, windowMs: ROBOT_WINDOW_MS, limit: ROBOT_MESSAGES_PER_MINUTE },
  ],
  digestBytesMax: DIGEST_BYTES_MAX,
});

const memberKind = defineTargetKind({
  channel: 'wecom',
  schema: memberTarget,
  identity: ({ toUser = [], toParty = [], toTag = [] }) =>
    [...toUser, ...toParty.map((name) => `party=${name}`), ...toTag.map((name) => `tag=${name}`)].sort().join('|'),
});

/** A group robot (`key`) or the application message (`toUser`, `toParty`, `toTag`). */
export const wecomTargetKind: TargetKind = {
  ...robotKind,
  parse: (input) => kindOf(input).parse(input),
  key: (target) => kindOf(target).key(target),
  budgets: (target) => kindOf(target).budgets(target),
};

function kindOf(target: unknown): TargetKind {
  const isRobot = typeof target === 'object' && target !== null && 'key' in target;
  return isRobot ? robotKind : memberKind;
}
