/** Who may come in. The app hands in an implementation. */
export interface Users {
  /** `remoteAddress` lets accounts be limited to loopback. A refusal never says whether the user exists. */
  authenticate(user: string, password: string, remoteAddress: string): boolean | Promise<boolean>;
  mayAccess(user: string, virtualHost: string): boolean | Promise<boolean>;
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
    if (account === undefined || account.password !== password) return false;
    return account.loopbackOnly !== true || isLoopback(remoteAddress);
  }

  mayAccess(user: string, virtualHost: string): boolean {
    const account = this.#accounts.get(user);
    return account !== undefined && (account.virtualHosts?.includes(virtualHost) ?? true);
  }
}

const IPV4_IN_IPV6 = '::ffff:';

/** 127.0.0.0/8 and ::1, also as IPv4 mapped into IPv6. */
export function isLoopback(address: string): boolean {
  const plain = address.toLowerCase().startsWith(IPV4_IN_IPV6) ? address.slice(IPV4_IN_IPV6.length) : address;
  return plain === '::1' || plain.startsWith('127.');
}
