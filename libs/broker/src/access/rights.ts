import { Pattern } from './pattern.js';

/** What may be done with a queue or an exchange: make and delete it, put something in, take something out. */
export type Right = 'configure' | 'write' | 'read';

/** The exchange without a name, where permissions name it. */
export const DEFAULT_EXCHANGE_NAME = 'amq.default';

/** What one user may do in one virtual host. A connection keeps it; the answers change when somebody changes the permissions. */
export interface Rights {
  /** Another number whenever an answer may have changed. */
  readonly version: number;
  may(right: Right, name: string): boolean;
  /** The rules on the routing keys of a topic exchange; undefined when every key will do. */
  topicRules(exchange: string): TopicRules | undefined;
  /** Whether the user-id property of a message may name somebody else. */
  readonly mayImpersonate: boolean;
}

export interface TopicRules {
  write: Pattern;
  read: Pattern;
}

/** Of accounts that are not limited. To speak for others is no right but a tag. */
export const ALL_RIGHTS: Rights = {
  version: 0,
  may: () => true,
  topicRules: () => undefined,
  mayImpersonate: false,
};

/** A permission row, compiled. */
export type CompiledPermission = Readonly<Record<Right, Pattern>>;

/** Rights by the rows of a user in a virtual host. `Accounts` keeps it up to date. */
export class GrantedRights implements Rights {
  version = 0;
  mayImpersonate = false;
  readonly #topics = new Map<string, TopicRules>();
  #permission: CompiledPermission | undefined;

  may(right: Right, name: string): boolean {
    return this.#permission?.[right].allows(name) ?? false;
  }

  topicRules(exchange: string): TopicRules | undefined {
    return this.#topics.get(exchange);
  }

  set permission(permission: CompiledPermission | undefined) {
    this.#permission = permission;
    this.version++;
  }

  get hasPermission(): boolean {
    return this.#permission !== undefined;
  }

  setTopicRules(exchange: string, rules: TopicRules | undefined): void {
    if (rules === undefined) this.#topics.delete(exchange);
    else this.#topics.set(exchange, rules);
    this.version++;
  }
}

/** What stands in a topic permission for the user and the virtual host it is asked about. */
export function topicPattern(
  source: string,
  user: string,
  virtualHost: string,
  report: (text: string) => void,
): Pattern {
  const literally = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const expanded = source
    .replaceAll('{username}', () => literally(user))
    .replaceAll('{vhost}', () => literally(virtualHost));
  return new Pattern(expanded, report);
}
