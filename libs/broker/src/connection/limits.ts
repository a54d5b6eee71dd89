import { ConnectionError } from '../errors.js';
import type { VirtualHost } from '../virtual-host.js';
import type { Users } from './users.js';

/** Open connections and channels, counted where somebody has set a limit. */
export interface Census {
  connectionsTo(virtualHost: string): number;
  connectionsOf(user: string): number;
  channelsOf(user: string): number;
}

/** Asked at connection.open. Throws 530. */
export function checkConnectionLimits({ name, limits }: VirtualHost, user: string, users: Users, census: Census): void {
  if (isReached(limits.maxConnections, () => census.connectionsTo(name))) {
    const text = `access to vhost '${name}' refused for user '${user}': connection limit (${limits.maxConnections}) is reached`;
    throw new ConnectionError('not-allowed', text);
  }
  const { maxConnections } = users.limitsOf?.(user) ?? {};
  if (isReached(maxConnections, () => census.connectionsOf(user))) {
    const text = `connection refused for user '${user}': user connection limit (${maxConnections}) is reached`;
    throw new ConnectionError('not-allowed', text);
  }
}

/** Asked at channel.open. Throws 530. */
export function checkChannelLimit(user: string, users: Users, census: Census): void {
  const { maxChannels } = users.limitsOf?.(user) ?? {};
  if (!isReached(maxChannels, () => census.channelsOf(user))) return;
  const text = `number of channels opened for user '${user}' has reached the maximum allowed user limit of (${maxChannels})`;
  throw new ConnectionError('not-allowed', text);
}

/** A negative limit is none. */
function isReached(limit: number | undefined, count: () => number): boolean {
  return limit !== undefined && limit >= 0 && count() >= limit;
}
