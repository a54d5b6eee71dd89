import type { Settings } from './settings.js';

/** Fields of senders and targets whose texts are secrets, of whatever notification channel: `token`, `appSecret`, `accessKeySecret`, `headers`, ... */
const SECRET_FIELD = /secret|token|passw|key|credential|auth|headers/i;
/** A target's URL may carry a credential in its path; a sender's says where it sends, and only its password is secret. */
const SECRET_TARGET_FIELD = new RegExp(`${SECRET_FIELD.source}|^url$`, 'i');

/** Every secret that a process was told, as it may stand in a text: for the logger, which hides them. Longest first, so that none is hidden in part. */
export function secretsOf(settings: Settings): string[] {
  const { ingestToken, adminPassword, secretKey, brokerUrl, databaseUrl, configuration } = settings;
  const { senders, receivers } = configuration;
  const targets = receivers.flatMap((receiver) => receiver.targets.map(({ target }) => target));
  const secrets = [
    ...[ingestToken, adminPassword, secretKey.toString('base64'), secretKey.toString('hex')],
    ...[...(brokerUrl?.split(',') ?? []), databaseUrl ?? ''].flatMap(passwordOf),
    ...secretTexts(senders, SECRET_FIELD),
    ...secretTexts(targets, SECRET_TARGET_FIELD),
  ];
  return [...new Set(secrets)].filter((secret) => secret !== '').sort((one, other) => other.length - one.length);
}

function secretTexts(value: unknown, names: RegExp, isSecret = false): string[] {
  if (typeof value === 'string') return [...(isSecret ? [value, ...credentialOf(value)] : []), ...passwordOf(value)];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item) => secretTexts(item, names, isSecret));
  return Object.entries(value).flatMap(([name, field]) => secretTexts(field, names, isSecret || names.test(name)));
}

/** As written and as it is sent. */
function passwordOf(text: string): string[] {
  if (!URL.canParse(text)) return [];
  const { password } = new URL(text);
  return [password, decoded(password)];
}

/** `Bearer abc` in a header: the token alone is as secret. */
function credentialOf(text: string): string[] {
  const [, credential] = /^(?:Bearer|Basic|Token) +(\S+)$/i.exec(text) ?? [];
  return credential === undefined ? [] : [credential];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone % stands for itself.
    return text;
  }
}
