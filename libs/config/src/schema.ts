import { z } from 'zod';
import { brokerSchema } from './broker-schema.js';
import { count, duration, map, positiveDuration, url } from './schema-values.js';

// The shape of tocsin.yaml as written. What needs the whole file (inheritance, references between parts) is in configuration.ts.

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
  get routes(): z.ZodDefault<z.ZodArray<typeof routeSchema>> {
    return z.array(routeSchema).default([]);
  },
});

const workerSchema = map({
  channels: count(64).default(2),
  consumersPerChannel: count(64).default(1),
  prefetch: count(1_000).default(50),
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
  broker: brokerSchema.prefault({}),
});

/** As the broker's own process reads it: its section, and of the rest only that the names of the sections are known. */
const otherSections: Record<string, z.ZodOptional<z.ZodUnknown>> = Object.fromEntries(
  Object.keys(tocsinSchema.shape).map((name) => [name, z.unknown().optional()]),
);
export const brokerFileSchema = map({ ...otherSections, broker: brokerSchema.prefault({}) });

export type WrittenConfiguration = z.output<typeof tocsinSchema>;
export type WrittenRoute = z.output<typeof routeSchema>;
