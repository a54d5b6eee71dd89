import type { Users } from '../connection/users.js';
import type { DefinitionLog } from '../store/message-log.js';
import { StoredAccounts } from '../store/stored-accounts.js';
import type { Permission, TopicPermission, User, UserLimits } from './account.js';
import { isLoopback } from './loopback.js';
import { DEFAULT_HASHING, hashPassword, isPassword } from './password.js';
import { Pattern, PatternError } from './pattern.js';
import { type CompiledPermission, GrantedRights, type TopicRules, topicPattern } from './rights.js';

export const USERS_MAX = 10_000;
/** Permissions and topic permissions, over all users. */
export const PERMISSIONS_MAX = 100_000;
/** A short string of the wire. */
const NAME_BYTES_MAX = 255;

/** RabbitMQ's account of a fresh install. */
const FIRST_USER = { name: 'guest', password: 'guest', tags: ['administrator'], virtualHost: '/' };
export const LOOPBACK_USERS: readonly string[] = ['guest'];

/** Compared with when there is no such user, so that the answer takes as long. */
const NOBODY = { passwordHash: hashPassword('nobody'), hashingAlgorithm: DEFAULT_HASHING };

export interface AccountsOptions {
  log: DefinitionLog;
  /** Users that may come from this machine only. */
  loopbackUsers: readonly string[];
  report: (text: string) => void;
}

/** The users of a broker with what they may do, durable in the log. Changes take effect at once, on open connections too. */
export class Accounts implements Users {
  readonly #stored: StoredAccounts;
  readonly #loopbackUsers: ReadonlySet<string>;
  readonly #report: (text: string) => void;
  readonly #users = new Map<string, User>();
  readonly #permissions = new Map<string, Permission>();
  readonly #topicPermissions = new Map<string, TopicPermission>();
  readonly #rights = new Map<string, GrantedRights>();
  readonly #onRemoved: ((user: string) => void)[] = [];

  /** Puts back what the log holds. Without any user there is guest, as on RabbitMQ: administrator, with all rights on '/'. */
  constructor(options: AccountsOptions) {
    this.#stored = new StoredAccounts(options.log);
    this.#loopbackUsers = new Set(options.loopbackUsers);
    this.#report = options.report;
    this.#restore();
    if (this.#users.size === 0) this.#makeFirstUser();
  }

  authenticate(user: string, password: string, remoteAddress: string): boolean {
    const account = this.#users.get(user);
    const { passwordHash, hashingAlgorithm } = account ?? NOBODY;
    const isRight = isPassword(password, passwordHash, hashingAlgorithm);
    if (account === undefined || !isRight) return false;
    return !this.#loopbackUsers.has(user) || isLoopback(remoteAddress);
  }

  mayAccess(user: string, virtualHost: string): boolean {
    return this.#users.has(user) && this.#permissions.has(idOf({ user, virtualHost }));
  }

  rightsIn(user: string, virtualHost: string): GrantedRights {
    const id = idOf({ user, virtualHost });
    const existing = this.#rights.get(id);
    if (existing !== undefined) return existing;
    const rights = new GrantedRights();
    rights.mayImpersonate = this.#users.get(user)?.tags.includes('impersonator') ?? false;
    this.#rights.set(id, rights);
    return rights;
  }

  limitsOf(user: string): UserLimits {
    return this.#users.get(user)?.limits ?? {};
  }

  onRemoved(listener: (user: string) => void): void {
    this.#onRemoved.push(listener);
  }

  get users(): readonly User[] {
    return [...this.#users.values()];
  }

  get permissions(): readonly Permission[] {
    return [...this.#permissions.values()];
  }

  get topicPermissions(): readonly TopicPermission[] {
    return [...this.#topicPermissions.values()];
  }

  user(name: string): User | undefined {
    return this.#users.get(name);
  }

  permission(virtualHost: string, user: string): Permission | undefined {
    return this.#permissions.get(idOf({ user, virtualHost }));
  }

  /** Makes the user or changes it; its limits stay when `limits` is not given. Throws RangeError for a name that cannot be. */
  putUser(given: Omit<User, 'limits'> & { limits?: UserLimits }): 'created' | 'changed' {
    const existing = this.#users.get(given.name);
    if (existing === undefined) this.#checkNewUser(given.name);
    const user: User = { ...given, limits: given.limits ?? existing?.limits ?? {} };
    this.#users.set(user.name, user);
    this.#stored.saveUser(user);
    for (const rights of this.#rightsOf(user.name)) {
      rights.mayImpersonate = user.tags.includes('impersonator');
      rights.version++;
    }
    return existing === undefined ? 'created' : 'changed';
  }

  /** With its permissions; whoever serves its connections is told. False when there is none of that name. */
  deleteUser(name: string): boolean {
    if (!this.#users.delete(name)) return false;
    this.#dropWhere(({ user }) => user === name);
    this.#stored.dropUser(name);
    for (const listener of this.#onRemoved) listener(name);
    return true;
  }

  /** Throws PatternError, and RangeError when there are too many. */
  putPermission(permission: Permission): 'created' | 'changed' {
    const compiled = this.#compile(permission);
    const id = idOf(permission);
    const isNew = !this.#permissions.has(id);
    if (isNew) this.#checkNewPermission();
    this.#permissions.set(id, permission);
    this.#stored.savePermission(permission);
    this.rightsIn(permission.user, permission.virtualHost).permission = compiled;
    return isNew ? 'created' : 'changed';
  }

  deletePermission(virtualHost: string, user: string): boolean {
    const permission = this.permission(virtualHost, user);
    if (permission === undefined) return false;
    this.#dropPermission(permission);
    return true;
  }

  /** Throws PatternError, and RangeError when there are too many. */
  putTopicPermission(permission: TopicPermission): 'created' | 'changed' {
    const rules = this.#compileTopic(permission);
    const id = topicIdOf(permission);
    const isNew = !this.#topicPermissions.has(id);
    if (isNew) this.#checkNewPermission();
    this.#topicPermissions.set(id, permission);
    this.#stored.saveTopicPermission(permission);
    this.rightsIn(permission.user, permission.virtualHost).setTopicRules(permission.exchange, rules);
    return isNew ? 'created' : 'changed';
  }

  /** Those of one exchange, or all when none is named. False when there was none. */
  deleteTopicPermissions(virtualHost: string, user: string, exchange: string | undefined): boolean {
    const doomed = this.topicPermissions.filter(
      (each) =>
        each.virtualHost === virtualHost &&
        each.user === user &&
        (exchange === undefined || each.exchange === exchange),
    );
    for (const permission of doomed) this.#dropTopicPermission(permission);
    return doomed.length > 0;
  }

  /** The virtual host is gone, and all permissions in it go. */
  forgetVirtualHost(name: string): void {
    this.#dropWhere(({ virtualHost }) => virtualHost === name);
  }

  #restore(): void {
    const rows = this.#stored.load();
    for (const sentence of rows.damaged) this.#report(sentence);
    for (const user of rows.users) this.#users.set(user.name, user);
    for (const permission of rows.permissions) {
      this.#attempt(`permission of '${permission.user}' in '${permission.virtualHost}'`, () => {
        this.rightsIn(permission.user, permission.virtualHost).permission = this.#compile(permission);
        this.#permissions.set(idOf(permission), permission);
      });
    }
    for (const permission of rows.topicPermissions) {
      this.#attempt(`topic permission of '${permission.user}' on '${permission.exchange}'`, () => {
        const rules = this.#compileTopic(permission);
        this.rightsIn(permission.user, permission.virtualHost).setTopicRules(permission.exchange, rules);
        this.#topicPermissions.set(topicIdOf(permission), permission);
      });
    }
  }

  #attempt(what: string, restore: () => void): void {
    try {
      restore();
    } catch (error) {
      this.#report(`${what} was not restored: ${(error as Error).message}`);
    }
  }

  #makeFirstUser(): void {
    const { name, password, tags, virtualHost } = FIRST_USER;
    this.putUser({ name, passwordHash: hashPassword(password), hashingAlgorithm: DEFAULT_HASHING, tags });
    this.putPermission({ user: name, virtualHost, configure: '.*', write: '.*', read: '.*' });
  }

  #checkNewUser(name: string): void {
    const bytes = Buffer.byteLength(name);
    if (bytes === 0 || bytes > NAME_BYTES_MAX) {
      throw new RangeError(`the name of a user has 1 to ${NAME_BYTES_MAX} bytes, not ${bytes}`);
    }
    if (this.#users.size >= USERS_MAX) throw new RangeError(`there are ${USERS_MAX} users; delete one first`);
  }

  #checkNewPermission(): void {
    if (this.#permissions.size + this.#topicPermissions.size < PERMISSIONS_MAX) return;
    throw new RangeError(`there are ${PERMISSIONS_MAX} permissions; delete one first`);
  }

  #compile({ configure, write, read }: Permission): CompiledPermission {
    const compile = (right: string, source: string) => named(right, () => new Pattern(source, this.#report));
    return {
      configure: compile('configure', configure),
      write: compile('write', write),
      read: compile('read', read),
    };
  }

  #compileTopic({ user, virtualHost, write, read }: TopicPermission): TopicRules {
    const compile = (right: string, source: string) =>
      named(right, () => topicPattern(source, user, virtualHost, this.#report));
    return { write: compile('write', write), read: compile('read', read) };
  }

  *#rightsOf(name: string): Iterable<GrantedRights> {
    for (const { user, virtualHost } of [...this.#permissions.values(), ...this.#topicPermissions.values()]) {
      if (user === name) yield this.rightsIn(user, virtualHost);
    }
  }

  #dropWhere(isDoomed: (row: { user: string; virtualHost: string }) => boolean): void {
    const topicPermissions = this.topicPermissions.filter(isDoomed);
    const permissions = this.permissions.filter(isDoomed);
    for (const permission of topicPermissions) this.#dropTopicPermission(permission);
    for (const permission of permissions) this.#dropPermission(permission);
    for (const row of [...topicPermissions, ...permissions]) this.#rights.delete(idOf(row));
  }

  #dropPermission(permission: Permission): void {
    const id = idOf(permission);
    this.#permissions.delete(id);
    this.#stored.dropPermission(permission);
    const rights = this.#rights.get(id);
    if (rights !== undefined) rights.permission = undefined;
  }

  #dropTopicPermission(permission: TopicPermission): void {
    this.#topicPermissions.delete(topicIdOf(permission));
    this.#stored.dropTopicPermission(permission);
    this.#rights.get(idOf(permission))?.setTopicRules(permission.exchange, undefined);
  }
}

function idOf({ user, virtualHost }: { user: string; virtualHost: string }): string {
  return JSON.stringify([virtualHost, user]);
}

function topicIdOf({ user, virtualHost, exchange }: TopicPermission): string {
  return JSON.stringify([virtualHost, user, exchange]);
}

function named<Value>(right: string, compile: () => Value): Value {
  try {
    return compile();
  } catch (error) {
    throw error instanceof PatternError ? new PatternError(`${right}: ${error.message}`) : error;
  }
}
