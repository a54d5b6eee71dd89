import { z } from 'zod';
import type { Budget } from '#dispatch';
import { defineTargetKind, fingerprintOf } from '../target/define-target-kind.js';
import { plainText } from '../target/fields.js';

/** A robot answers the 21st message inside a minute with a ten-minute block (open.dingtalk.com, custom robot). */
const MESSAGES_PER_MINUTE = 20;
const MINUTE_MS = 60_000;
/**
 * We count a message when it is claimed, DingTalk when it arrives, up to this much later. The first of twenty may arrive at the end of its
 * delay and the twenty-first at once, so sixty seconds between our counts could be fewer between theirs. A window longer by the longest
 * delay never shows them 21. The sender holds up its end: a request is abandoned after `SEND_MS_MAX`, and the rest is left for
 * the way from the claim to the sender.
 */
const WINDOW_MARGIN_MS = 12_000;
export const SEND_MS_MAX = 10_000;

/** Of the 20,000 bytes of a request; the rest is for what stands around the lines. */
const DIGEST_BYTES_MAX = 18_000;
/** Each stands in the message twice, so they must leave room for it. */
const MENTIONS_MAX = 50;
const USER_ID_CHARACTERS_MAX = 64;

const dingTalkTarget = z.strictObject({
  token: plainText(200),
  secret: plainText(200).optional(),
  atMobiles: z.array(plainText(20)).max(MENTIONS_MAX).optional(),
  atUserIds: z.array(plainText(USER_ID_CHARACTERS_MAX)).max(MENTIONS_MAX).optional(),
  isAtAll: z.boolean().optional(),
});

export type DingTalkTarget = z.infer<typeof dingTalkTarget>;

export function readDingTalkTarget(target: unknown): DingTalkTarget {
  return dingTalkTarget.parse(target);
}

export const dingTalkTargetKind = defineTargetKind({
  channel: 'dingtalk',
  schema: dingTalkTarget,
  secretFields: ['token', 'secret'],
  // The same robot with other mentions is another target; the budget below is the robot's.
  identity: (target) => fingerprintOf(target.token) + mentions(target),
  budgets: ({ token }): Budget[] => [
    { name: `dingtalk:${fingerprintOf(token)}`, windowMs: MINUTE_MS + WINDOW_MARGIN_MS, limit: MESSAGES_PER_MINUTE },
  ],
  digestBytesMax: DIGEST_BYTES_MAX,
});

function mentions({ atMobiles = [], atUserIds = [], isAtAll = false }: DingTalkTarget): string {
  if (atMobiles.length + atUserIds.length === 0 && !isAtAll) return '';

  return `/${fingerprintOf(JSON.stringify([[...atMobiles].sort(), [...atUserIds].sort(), isAtAll]))}`;
}
