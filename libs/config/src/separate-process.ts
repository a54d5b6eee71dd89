import type { Settings } from './settings.js';

/** SQLite belongs to one process: an app on its own needs a database that several can share. @throws Error, one sentence */
export function requireSharedDatabase(environment: NodeJS.ProcessEnv, app: string): void {
  if (environment['DATABASE_URL']) return;
  throw new Error(
    `the ${app} as a process of its own needs PostgreSQL: set DATABASE_URL=postgresql://..., or run everything in one with npm start`,
  );
}

/** `BROKER_URL`, or the embedded broker started on its own (`npm run start:broker`) with the same settings. */
export function brokerUrlOf({ brokerUrl, host, amqpPort }: Settings): string {
  return brokerUrl ?? `amqp://guest:guest@${urlHost(host)}:${amqpPort}`;
}

/** How a listening address is reached and written in a URL: every-address as loopback, IPv6 in brackets. */
export function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
