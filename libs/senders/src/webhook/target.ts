import { validateHeaderName, validateHeaderValue } from 'node:http';
import { z } from 'zod';
import { defineTargetKind, fingerprintOf } from '../target/define-target-kind.js';

const URL_CHARACTERS_MAX = 2_048;
const HEADERS_MAX = 20;
const HEADER_CHARACTERS_MAX = 4_096;
/** Set by us: what is signed and counted must not be replaced. */
const OWN_HEADERS =
  /^(webhook-.*|content-(type|length|encoding)|transfer-encoding|connection|host|te|trailer|upgrade)$/i;
/** Standard Webhooks: a key is 24 to 64 random bytes. */
const KEY_BYTES_MIN = 24;
const KEY_BYTES_MAX = 64;
const HOST_CHARACTERS_MAX = 80;

const url = z
  .string()
  .max(URL_CHARACTERS_MAX, `must have at most ${URL_CHARACTERS_MAX} characters`)
  .refine((text) => ['http:', 'https:'].includes(protocolOf(text)), 'must be an http or https URL');

const secret = z
  .string()
  .refine(
    (text) => isSigningSecret(text),
    `must be whsec_ followed by ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes in base64`,
  );

const headers = z.record(z.string(), z.string()).superRefine((values, context) => {
  if (Object.keys(values).length > HEADERS_MAX) context.addIssue(`must be at most ${HEADERS_MAX} headers`);
  for (const [name, value] of Object.entries(values)) {
    const problem = headerProblem(name, value);
    if (problem) context.addIssue({ code: 'custom', path: [name], message: problem });
  }
});

const webhookTarget = z.strictObject({ url, secret: secret.optional(), headers: headers.optional() });

export type WebhookTarget = z.infer<typeof webhookTarget>;

export function readWebhookTarget(target: unknown): WebhookTarget {
  return webhookTarget.parse(target);
}

export const webhookTargetKind = defineTargetKind({
  channel: 'webhook',
  schema: webhookTarget,
  // A URL may carry credentials, in its user-info, its path or its query.
  secretFields: ['url', 'secret', 'headers'],
  identity: ({ url, headers }) => {
    const sorted = Object.entries(headers ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
    const host = new URL(url).hostname.slice(0, HOST_CHARACTERS_MAX);
    return `${host}:${fingerprintOf(JSON.stringify([new URL(url).href, sorted]))}`;
  },
  // Half of what one worker takes of a channel (worker.channels x prefetch), so that a slow receiver leaves room for the others.
  // What one worker prefetches: its deliveries do not go through the waiting room only because they were prefetched.
  perTargetInFlight: 100,
});

function protocolOf(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : '';
}

function isSigningSecret(text: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  if (base64 === undefined) return false;

  const { length } = Buffer.from(base64, 'base64');
  return length >= KEY_BYTES_MIN && length <= KEY_BYTES_MAX;
}

function headerProblem(name: string, value: string): string | undefined {
  if (OWN_HEADERS.test(name)) return 'is set by the sender itself';
  if (value.length > HEADER_CHARACTERS_MAX) return `must have at most ${HEADER_CHARACTERS_MAX} characters`;
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return undefined;
  } catch {
    // Node's message would repeat the value, which may be a credential.
    return 'is no valid HTTP header';
  }
}
