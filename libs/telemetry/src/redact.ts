/** Field names whose value is never logged, compared without case, `-` and `_`. */
const SECRET_FIELDS = new Set([
  'accesstoken',
  'apikey',
  'appsecret',
  'authorization',
  'authtoken',
  'adminpassword',
  'cookie',
  'corpsecret',
  'ingesttoken',
  'key',
  'pass',
  'passwd',
  'password',
  'secret',
  'secretkey',
  'sign',
  'token',
]);

const SECRET_IN_TEXT: readonly [RegExp, string][] = [
  // scheme://user:password@host
  [/([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/@]+@/gi, '$1:***@'],
  [/\b(access_token|token|key|sign|secret|password)=[^&\s"']+/gi, '$1=***'],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{6,}/g, '$1 ***'],
];

const HIDDEN = '***';
/** Deeper values are logged as `[deep]`; a log line is no dump. */
const DEPTH_MAX = 6;
/** A shorter secret would blank out ordinary words. */
const KNOWN_SECRET_CHARACTERS_MIN = 6;

/**
 * A function that returns a copy of a value without secrets: fields with a secret's name, credentials inside URLs and headers, and
 * `knownSecrets` wherever they stand.
 */
export function redactor(knownSecrets: readonly string[] = []): (value: unknown) => unknown {
  const known = knownSecrets.filter((secret) => secret.length >= KNOWN_SECRET_CHARACTERS_MIN);
  const redactText = (text: string) =>
    SECRET_IN_TEXT.reduce(
      (clean, [pattern, replacement]) => clean.replace(pattern, replacement),
      known.reduce((clean, secret) => clean.replaceAll(secret, HIDDEN), text),
    );

  function redact(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return redactText(value);
    if (typeof value !== 'object' || value === null) return value;
    if (depth > DEPTH_MAX) return '[deep]';
    if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
    if (Buffer.isBuffer(value)) return `[${value.length} bytes]`;
    if (value instanceof Date) return value.toISOString();
    const entries = value instanceof Error ? errorEntries(value) : Object.entries(value);
    return Object.fromEntries(
      entries.map(([name, field]) => [name, isSecret(name, field) ? HIDDEN : redact(field, depth + 1)]),
    );
  }
  return (value) => redact(value, 0);
}

/** Only texts and buffers are secrets: `key: 3` or `token: undefined` says something about the log line. */
function isSecret(name: string, value: unknown): boolean {
  const isText = (typeof value === 'string' && value !== '') || Buffer.isBuffer(value);
  return isText && SECRET_FIELDS.has(name.toLowerCase().replace(/[-_]/g, ''));
}

function errorEntries(error: Error): [string, unknown][] {
  const { name, message, stack, cause, ...own } = error as Error & Record<string, unknown>;
  return Object.entries({ type: name, message, stack, ...own, ...(cause === undefined ? {} : { cause }) });
}
