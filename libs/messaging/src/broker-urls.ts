/** Seconds without a sign of life after which a connection counts as lost (twice this, in the worst case). */
const HEARTBEAT_SECONDS = 10;

/**
 * The nodes of `BROKER_URL`: `amqp://user:pass@a,amqp://b,c:5673`. A part without a scheme takes scheme, user and
 * virtual host of the first. Throws a sentence when a part is no AMQP URL.
 */
export function parseBrokerUrls(list: string): string[] {
  const parts = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (parts.length === 0) throw new Error('BROKER_URL is empty; write amqp://host:5672, or leave it unset');

  const first = toUrl(parts[0] as string);
  return parts.map((part) => withHeartbeat(part.includes('://') ? toUrl(part) : likeFirst(first, part)));
}

/** The nodes of `BROKER_URL` without passwords, for a line that people see. */
export function shownBrokerUrl(list: string): string {
  return parseBrokerUrls(list).map(withoutPassword).join(',');
}

export function withoutPassword(url: string): string {
  const shown = new URL(url);
  shown.password = '';
  shown.search = '';
  return shown.href;
}

function toUrl(part: string): URL {
  const url = URL.canParse(part) ? new URL(part) : undefined;
  if (!url || !['amqp:', 'amqps:'].includes(url.protocol) || url.hostname === '') {
    throw new Error('BROKER_URL must hold amqp:// or amqps:// URLs, comma-separated for the nodes of a cluster');
  }
  return url;
}

function likeFirst(first: URL, host: string): URL {
  const credentials = first.username ? `${first.username}:${first.password}@` : '';
  return toUrl(`${first.protocol}//${credentials}${host}${first.pathname}${first.search}`);
}

function withHeartbeat(url: URL): string {
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(HEARTBEAT_SECONDS));
  return url.href;
}
