import addressparser from 'nodemailer/lib/addressparser';
import { z } from 'zod';
import { defineTargetKind } from '../target/define-target-kind.js';

/** RFC 5321 4.5.3.1.8: every server takes 100 recipients; some take no more. */
const RECIPIENTS_MAX = 100;
const MAILBOX_CHARACTERS_MAX = 320;
/** Digests of mail are bounded by what is readable rather than by servers. */
const DIGEST_BYTES_MAX = 256 * 1024;

/** `ops@example.com`, `Ops <ops@example.com>`, several separated by commas, or a list of such. */
const mailboxes = z
  .union([z.string(), z.array(z.string())], 'must be an address or a list of addresses')
  .transform((value, context) => {
    const entries = (typeof value === 'string' ? [value] : value).flatMap((text) => parseMailboxes(text));
    if (entries.length === 0) context.addIssue('must name at least one address');
    if (entries.length > RECIPIENTS_MAX) context.addIssue(`must name at most ${RECIPIENTS_MAX} addresses`);
    if (entries.includes(undefined)) context.addIssue('must be mail addresses such as ops@example.com');
    return entries.filter((entry) => entry !== undefined);
  });

const emailTarget = z.strictObject({ to: mailboxes, cc: mailboxes.optional(), replyTo: mailboxes.optional() });

export type EmailTarget = z.infer<typeof emailTarget>;

export function readEmailTarget(target: unknown): EmailTarget {
  return emailTarget.parse(target);
}

export const emailTargetKind = defineTargetKind({
  channel: 'email',
  schema: emailTarget,
  identity: ({ to, cc, replyTo }) =>
    [named('', to), named('cc=', cc), named('replyTo=', replyTo)].filter((part) => part !== '').join(' '),
  perTargetInFlight: 100,
  digestBytesMax: DIGEST_BYTES_MAX,
});

/** `undefined` stands for what is no address. */
function parseMailboxes(text: string): (string | undefined)[] {
  if (/\p{Cc}/u.test(text)) return [undefined];

  return addressparser(text, { flatten: true }).map(({ name, address }) => {
    const isAddress = address.length <= MAILBOX_CHARACTERS_MAX && /^[^\s@<>,;:"]+@[^\s@<>,;:"]+$/.test(address);
    if (!isAddress) return undefined;
    return name === '' ? address : `"${name.replace(/["\\]/g, '')}" <${address}>`;
  });
}

function named(prefix: string, list: string[] | undefined): string {
  if (list === undefined) return '';

  const addresses = list.map((mailbox) => mailbox.replace(/^.*<(.*)>$/, '$1').toLowerCase());
  return prefix + addresses.sort().join(',');
}
