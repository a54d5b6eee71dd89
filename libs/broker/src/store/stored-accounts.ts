import type { Permission, TopicPermission, User } from '../access/account.js';
import { escapedForKey } from './definitions.js';
import type { DefinitionLog } from './message-log.js';

// JSON values under these keys, beside the definitions of the virtual hosts:
//
//   user:<user>
//   permission:<vhost>:<user>
//   topic-permission:<vhost>:<user>:<exchange>

export interface AccountRows {
  users: User[];
  permissions: Permission[];
  topicPermissions: TopicPermission[];
  /** One sentence for each value that could not be read; it is left where it is. */
  damaged: string[];
}

/** The durable part of the accounts. */
export class StoredAccounts {
  constructor(private readonly log: DefinitionLog) {}

  load(): AccountRows {
    const rows: AccountRows = { users: [], permissions: [], topicPermissions: [], damaged: [] };
    const lists = { user: rows.users, permission: rows.permissions, 'topic-permission': rows.topicPermissions };
    for (const [key, value] of this.log.definitions) {
      const list = lists[key.slice(0, key.indexOf(':')) as keyof typeof lists] as unknown[] | undefined;
      if (list === undefined) continue;
      try {
        list.push(JSON.parse(value.toString()));
      } catch (error) {
        rows.damaged.push(`definition ${key} cannot be read: ${(error as Error).message}`);
      }
    }
    return rows;
  }

  saveUser(user: User): void {
    this.#save(`user:${user.name}`, user);
  }

  dropUser(name: string): void {
    this.log.define(`user:${name}`, undefined);
  }

  savePermission(permission: Permission): void {
    this.#save(permissionKey(permission), permission);
  }

  dropPermission(permission: Permission): void {
    this.log.define(permissionKey(permission), undefined);
  }

  saveTopicPermission(permission: TopicPermission): void {
    this.#save(topicPermissionKey(permission), permission);
  }

  dropTopicPermission(permission: TopicPermission): void {
    this.log.define(topicPermissionKey(permission), undefined);
  }

  #save(key: string, value: object): void {
    this.log.define(key, Buffer.from(JSON.stringify(value)));
  }
}

function permissionKey({ virtualHost, user }: Permission): string {
  return `permission:${escapedForKey(virtualHost)}:${user}`;
}

function topicPermissionKey({ virtualHost, user, exchange }: TopicPermission): string {
  return `topic-permission:${escapedForKey(virtualHost)}:${escapedForKey(user)}:${exchange}`;
}
