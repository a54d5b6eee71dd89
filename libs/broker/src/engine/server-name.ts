import { randomBytes } from 'node:crypto';

/** 22 characters in base64url. */
const SERVER_NAME_BYTES = 16;

/** For a queue that a client declares without a name. */
export function newServerName(): string {
  return `amq.gen-${randomBytes(SERVER_NAME_BYTES).toString('base64url')}`;
}
