import { z } from 'zod';
import { defineTargetKind } from '../target/define-target-kind.js';
import { phoneNumber } from '../target/fields.js';

export const voiceTargetKind = defineTargetKind({
  channel: 'voice',
  schema: z.strictObject({ to: phoneNumber }),
  identity: ({ to }) => to,
});
