import { z } from 'zod';
import { parseDuration } from './duration.js';
import { suggestion } from './nearest.js';

// The shape of tocsin.yaml as written. What needs the whole file (inheritance, references between parts) is in configuration.ts.

/** A map that refuses unknown keys and names the nearest known ones; the message has one line for each key. */
function map<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `unknown key '${key}'${suggestion(key, Object.keys(shape))}`).join('\n')
        : undefined,
  });
}

/** A duration in milliseconds; a bare number would leave the unit to be guessed. */
const duration = z.unknown().transform((value, context) => {
  const ms = typeof value === 'string' ? parseDuration(value) : undefined;
  if (ms !== undefined) return ms;
  const hint = typeof value === 'number' ? `, not ${value}: did you mean '${value}s'?` : '';
  context.addIssue({ code: 'custom', message: `must be a duration such as '30s', '5m' or '1h30m'${hint}` });
  return z.NEVER;
});

const positiveDuration = duration.refine((ms) => ms > 0, { error: 'must be longer than 0s' });

function url(...schemes: string[]) {
  return z.string().refine((text) => schemes.some((scheme) => text.startsWith(`${scheme}://`)) && URL.canParse(text), {
    error: `must be a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  });
}

const count = (max: number) => z.int().min(1).max(max);

const sendersSchema = map({
  email: map({
    url: url('smtp', 'smtps'),
    from: z.string().min(1),
    timeout: positiveDuration.default(30_000),
  }).optional(),
  dingtalk: map({
    baseUrl: url('https', 'http').default('https://oapi.dingtalk.com'),
    timeout: positiveDuration.default(10_000),
  }).optional(),
  webhook: map({
    timeout: positiveDuration.default(10_000),
    allowPrivateAddresses: z.boolean().default(false),
  }).optional(),
  // Senders that this release does not have: kept as written, so that one file serves several releases.
  sms: z.looseObject({}).optional(),
  voice: z.looseObject({}).optional(),
  wecom: z.looseObject({}).optional(),
  wechat: z.looseObject({}).optional(),
});

const receiverSchema = map({
  name: z.string().min(1),
  targets: z.array(z.looseObject({ channel: z.string().min(1), sendResolved: z.boolean().default(true) })).default([]),
});

const routeSchema = map({
  receiver: z.string().min(1).optional(),
  groupBy: z.array(z.string().min(1)).optional(),
  groupWait: duration.optional(),
  groupInterval: positiveDuration.optional(),
  repeatInterval: positiveDuration.optional(),
  matchers: z.array(z.string()).default([]),
  continue: z.boolean().default(false),
  get routes() {
    return z.array(routeSchema).default([]);
  },
});

const workerSchema = map({
  channels: count(64).default(2),
  consumersPerChannel: count(64).default(1),
  prefetch: count(1_000).default(20),
});

export const tocsinSchema = map({
  senders: sendersSchema.prefault({}),
  receivers: z.array(receiverSchema).default([]),
  route: routeSchema.optional(),
  // Refused rather than ignored: an operator who wrote one relies on it.
  inhibitRules: z.array(z.unknown()).max(0, { error: 'are not supported by this release; remove them' }).default([]),
  resolveTimeout: positiveDuration.default(300_000),
  dispatchLagMax: count(10_000_000).default(50_000),
  worker: workerSchema.prefault({}),
  retention: positiveDuration.default(30 * 86_400_000),
});

export type WrittenConfiguration = z.output<typeof tocsinSchema>;
export type WrittenRoute = z.output<typeof routeSchema>;
