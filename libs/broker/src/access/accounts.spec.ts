import { beforeEach, describe, expect, it } from '@jest/globals';
import type { DefinitionLog } from '../store/message-log.js';
import { Accounts, LOOPBACK_USERS } from './accounts.js';
import { hashPassword } from './password.js';

class MemoryLog implements DefinitionLog {
  readonly definitions = new Map<string, Buffer>();

  define(key: string, value: Buffer | undefined): void {
    if (value === undefined) this.definitions.delete(key);
    else this.definitions.set(key, value);
  }
}

let log: MemoryLog;
let accounts: Accounts;
let reports: string[];

function restart(loopbackUsers = LOOPBACK_USERS): Accounts {
  reports = [];
  accounts = new Accounts({ log, loopbackUsers, report: (text) => reports.push(text) });
  return accounts;
}

beforeEach(() => {
  log = new MemoryLog();
  restart();
});

function anna(password = 'secret', tags: string[] = []) {
  return {
    name: 'anna',
    passwordHash: hashPassword(password),
    hashingAlgorithm: 'rabbit_password_hashing_sha256',
    tags,
  } as const;
}
const permission = { user: 'anna', virtualHost: '/', configure: '^mine', write: '.*', read: '' };
const topicPermission = { user: 'anna', virtualHost: '/', exchange: 'amq.topic', write: '^{username}\\.', read: '^a' };

describe('accounts', () => {
  it('begin with guest, who comes from this machine only and may do everything in /', () => {
    expect(accounts.users).toEqual([expect.objectContaining({ name: 'guest', tags: ['administrator'] })]);
    expect(accounts.authenticate('guest', 'guest', '127.8.8.8')).toBe(true);
    expect(accounts.authenticate('guest', 'guest', '::ffff:127.0.0.1')).toBe(true);
    expect(accounts.authenticate('guest', 'guest', '10.0.0.1')).toBe(false);
    expect(accounts.mayAccess('guest', '/')).toBe(true);
    expect(accounts.mayAccess('guest', 'other')).toBe(false);
    expect(accounts.rightsIn('guest', '/').may('configure', 'anything')).toBe(true);
  });

  it('keep guest away or let others in only from here, as told', () => {
    accounts.putUser(anna());
    restart(['anna']);
    expect(accounts.authenticate('guest', 'guest', '10.0.0.1')).toBe(true);
    expect(accounts.authenticate('anna', 'secret', '10.0.0.1')).toBe(false);
    expect(accounts.authenticate('anna', 'secret', '127.0.0.1')).toBe(true);
  });

  it('come back as they were', () => {
    accounts.putUser(anna('secret', ['management', 'own']));
    accounts.putPermission(permission);
    accounts.putTopicPermission(topicPermission);
    const before = [accounts.users, accounts.permissions, accounts.topicPermissions];
    restart();
    expect([accounts.users, accounts.permissions, accounts.topicPermissions]).toEqual(before);
    expect(accounts.authenticate('anna', 'secret', '10.0.0.1')).toBe(true);
    const rights = accounts.rightsIn('anna', '/');
    expect(['mine', 'yours'].map((name) => rights.may('configure', name))).toEqual([true, false]);
    expect(rights.may('read', 'mine')).toBe(false);
    expect(reports).toEqual([]);
  });

  it('do not bring guest back once there is another', () => {
    accounts.putUser(anna());
    expect(accounts.deleteUser('guest')).toBe(true);
    expect(restart().users.map(({ name }) => name)).toEqual(['anna']);
    expect(accounts.permissions).toEqual([]);
  });

  it('change a password and tags, and keep limits that are not given', () => {
    expect(accounts.putUser({ ...anna(), limits: { maxChannels: 3 } })).toBe('created');
    expect(accounts.putUser(anna('other', ['monitoring']))).toBe('changed');
    expect(accounts.authenticate('anna', 'secret', '127.0.0.1')).toBe(false);
    expect(accounts.authenticate('anna', 'other', '127.0.0.1')).toBe(true);
    expect(accounts.limitsOf('anna')).toEqual({ maxChannels: 3 });
  });

  it('change what an open connection may do at once', () => {
    accounts.putUser(anna());
    accounts.putPermission(permission);
    const rights = accounts.rightsIn('anna', '/');
    const { version } = rights;
    expect(rights.may('write', 'q')).toBe(true);
    accounts.putPermission({ ...permission, write: '' });
    expect(rights.may('write', 'q')).toBe(false);
    expect(rights.version).not.toBe(version);
    accounts.deletePermission('/', 'anna');
    expect(rights.may('configure', 'mine')).toBe(false);
    accounts.putPermission(permission);
    expect(rights.may('configure', 'mine')).toBe(true);
    expect(rights.mayImpersonate).toBe(false);
    accounts.putUser(anna('secret', ['impersonator']));
    expect(rights.mayImpersonate).toBe(true);
  });

  it('put the names of user and virtual host into topic permissions, letter by letter', () => {
    const user = { ...anna(), name: 'a.b' };
    accounts.putUser(user);
    accounts.putTopicPermission({ ...topicPermission, user: 'a.b', write: '^{username}\\.{vhost}$' });
    const rules = accounts.rightsIn('a.b', '/').topicRules('amq.topic')!;
    expect(rules.write.allows('a.b./')).toBe(true);
    expect(rules.write.allows('axb./')).toBe(false);
    expect(accounts.rightsIn('a.b', '/').topicRules('other')).toBeUndefined();
  });

  it('delete topic permissions one by one or together', () => {
    accounts.putUser(anna());
    for (const exchange of ['x', 'y', 'z']) accounts.putTopicPermission({ ...topicPermission, exchange });
    expect(accounts.deleteTopicPermissions('/', 'anna', 'y')).toBe(true);
    expect(accounts.topicPermissions.map(({ exchange }) => exchange)).toEqual(['x', 'z']);
    expect(accounts.deleteTopicPermissions('/', 'anna', undefined)).toBe(true);
    expect(accounts.deleteTopicPermissions('/', 'anna', undefined)).toBe(false);
    expect(accounts.rightsIn('anna', '/').topicRules('x')).toBeUndefined();
  });

  it('go with everything of a user or a virtual host, and nothing of others', () => {
    accounts.putUser(anna());
    accounts.putPermission(permission);
    accounts.putPermission({ ...permission, virtualHost: 'night' });
    accounts.putTopicPermission({ ...topicPermission, virtualHost: 'night' });
    const removed: string[] = [];
    accounts.onRemoved((user) => removed.push(user));
    accounts.forgetVirtualHost('night');
    expect(accounts.permissions).toHaveLength(2);
    const rights = accounts.rightsIn('anna', '/');
    expect(accounts.deleteUser('anna')).toBe(true);
    expect(accounts.deleteUser('anna')).toBe(false);
    expect(removed).toEqual(['anna']);
    expect(rights.may('write', 'q')).toBe(false);
    expect([...log.definitions.keys()]).toEqual(['user:guest', 'permission:/:guest']);
  });

  it('refuse a pattern nobody can read, saying which, and names that AMQP cannot carry', () => {
    expect(() => accounts.putPermission({ ...permission, write: '(' })).toThrow(/^write: /);
    expect(() => accounts.putTopicPermission({ ...topicPermission, read: '[' })).toThrow(/^read: /);
    expect(() => accounts.putUser({ ...anna(), name: '' })).toThrow('the name of a user has 1 to 255 bytes, not 0');
  });

  it('name what is damaged and keep the rest', () => {
    accounts.putUser(anna());
    log.define('user:broken', Buffer.from('{"name":'));
    log.define('permission:/:old', Buffer.from(JSON.stringify({ ...permission, user: 'old', read: '(' })));
    restart();
    expect(accounts.users.map(({ name }) => name)).toEqual(['guest', 'anna']);
    expect(reports).toEqual([
      expect.stringContaining('definition user:broken cannot be read'),
      expect.stringContaining("permission of 'old' in '/' was not restored: read: "),
    ]);
  });
});
