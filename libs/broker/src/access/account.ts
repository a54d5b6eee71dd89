import type { HashingAlgorithm } from './password.js';

/** What the tags of a user let it do: see the management API's pages, or change what it shows; `impersonator` is for the wire. */
export const TAGS = ['administrator', 'monitoring', 'policymaker', 'management', 'impersonator'] as const;

/** A name and how to know it. Other tags than ours are kept and mean nothing. */
export interface User {
  name: string;
  /** Empty: nobody can log in by a password. */
  passwordHash: string;
  hashingAlgorithm: HashingAlgorithm;
  tags: readonly string[];
  limits: UserLimits;
}

/** Undefined or negative: none. */
export interface UserLimits {
  maxConnections?: number | undefined;
  /** Over all its connections. */
  maxChannels?: number | undefined;
}

/** What a user may do in a virtual host: regular expressions found in names of exchanges and queues. */
export interface Permission {
  virtualHost: string;
  user: string;
  configure: string;
  write: string;
  read: string;
}

/** Narrows a permission on one topic exchange: regular expressions found in routing keys. */
export interface TopicPermission {
  virtualHost: string;
  user: string;
  exchange: string;
  write: string;
  read: string;
}
