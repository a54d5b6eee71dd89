import { z } from 'zod';
import { count, duration, map, size } from './schema-values.js';

// The section `broker` as written. Keys are RabbitMQ's words (rabbitmq.conf) in camelCase.

const FRAME_BYTES_MAX = 16 * 2 ** 20;
/** RabbitMQ's own ceiling of max_message_size. */
const MESSAGE_BYTES_MAX = 512 * 2 ** 20;
/** From RabbitMQ 4.1 on a client may count on this much for its first frames. */
const FRAME_BYTES_MIN = { '3.13': 4096, '4.2': 8192, '4.3': 8192 } as const;

const wholeSeconds = duration.refine((ms) => ms % 1000 === 0 && ms <= 65_535_000, {
  error: 'must be whole seconds, at most 65535s; 0s is off',
});

/** A share of the machine's memory, or a size. */
const watermark = z.unknown().transform((value, context) => {
  if (typeof value === 'number' && value >= 0 && value <= 1) return { share: value };
  const bytes = typeof value === 'string' ? size.safeParse(value).data : undefined;
  if (bytes !== undefined) return { bytes };
  const message = "must be a share of the machine's memory from 0 to 1, or a size such as '2GB'";
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const tlsSchema = map({
  certfile: z.string().min(1),
  keyfile: z.string().min(1),
  cacertfile: z.string().min(1).optional(),
  verify: z.enum(['none', 'peer'], { error: "must be 'none' or 'peer'" }).default('none'),
  failIfNoPeerCert: z.boolean().default(false),
  host: z.string().min(1).optional(),
}).superRefine(({ verify, cacertfile, failIfNoPeerCert }, context) => {
  if (verify === 'peer' && cacertfile === undefined) {
    const message = 'is missing: it holds the authorities whose client certificates are trusted';
    context.addIssue({ code: 'custom', path: ['cacertfile'], message });
  }
  if (failIfNoPeerCert && verify === 'none') {
    const message = "demands client certificates, which 'verify: peer' checks; add it";
    context.addIssue({ code: 'custom', path: ['failIfNoPeerCert'], message });
  }
});

export const brokerSchema = map({
  compat: z.enum(['3.13', '4.2', '4.3'], { error: "must be '3.13', '4.2' or '4.3', in quotes" }).default('3.13'),
  permitDeprecated: map({
    transientNonexclQueues: z.boolean().default(false),
    globalQos: z.boolean().default(false),
  }).prefault({}),
  consumerTimeout: duration.optional(),
  vmMemoryHighWatermark: watermark.optional(),
  diskFreeLimit: size.default(50_000_000),
  loopbackUsers: z.array(z.string().min(1)).default(['guest']),
  heartbeat: wholeSeconds.default(60_000),
  frameMax: z.int().max(FRAME_BYTES_MAX).default(131_072),
  channelMax: count(65_535).default(2047),
  maxMessageSize: size
    .refine((bytes) => bytes > 0 && bytes <= MESSAGE_BYTES_MAX, { error: 'must be from 1 byte to 512MiB' })
    .optional(),
  tls: tlsSchema.optional(),
}).superRefine(({ compat, frameMax }, context) => {
  const min = FRAME_BYTES_MIN[compat];
  if (frameMax >= min) return;
  context.addIssue({ code: 'custom', path: ['frameMax'], message: `must be at least ${min} with compat '${compat}'` });
});
