import type { UserLimits } from '../access/account.js';
import { isLoopback } from '../access/loopback.js';
import { isSameText } from '../access/password.js';
import type { Rights } from '../access/rights.js';

/** Who may come in and what they may do. `Accounts` is one; so is what an app hands in. */
export interface Users {
  /** `remoteAddress` lets accounts be limited to loopback. A refusal never says whether the user exists. */
  authenticate(user: string, password: string, remoteAddress: string): boolean | Promise<boolean>;
  mayAccess(user: string, virtualHost: string): boolean | Promise<boolean>;
  /** Asked once `mayAccess` has said yes, and kept while the connection lasts. All may do everything when absent. */
  rightsIn?(user: string, virtualHost: string): Rights;
  /** Nobody is limited when absent. */
  limitsOf?(user: string): UserLimits;
  /** A new secret of a logged-in user (connection.update-secret). Passwords do not expire, so all are taken when absent. */
  acceptsSecret?(user: string, secret: string): boolean | Promise<boolean>;
  /** The user is no more: its connections must close. */
  onRemoved?(listener: (user: string) => void): void;
}

export interface Account {
  password: string;
  /** May come from this machine only. */
  loopbackOnly?: boolean;
  /** Virtual hosts it may open; all when absent. */
  virtualHosts?: readonly string[];
}

/** RabbitMQ's account of a fresh install. */
export const GUEST: Readonly<Record<string, Account>> = { guest: { password: 'guest', loopbackOnly: true } };

/** Accounts known at start, by name. */
export class StaticUsers implements Users {
  readonly #accounts: ReadonlyMap<string, Account>;

  constructor(accounts: Readonly<Record<string, Account>> = GUEST) {
    this.#accounts = new Map(Object.entries(accounts));
  }

  authenticate(user: string, password: string, remoteAddress: string): boolean {
    const account = this.#accounts.get(user);
    if (account === undefined || !isSameText(account.password, password)) return false;
    return account.loopbackOnly !== true || isLoopback(remoteAddress);
  }

  mayAccess(user: string, virtualHost: string): boolean {
    const account = this.#accounts.get(user);
    return account !== undefined && (account.virtualHosts?.includes(virtualHost) ?? true);
  }
}
