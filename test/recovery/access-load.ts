import { connect } from 'amqplib';
import { closeAmqp } from '#testing';
import type { Random } from './random.js';

const ADMINISTRATOR = 'guest';
/** Each changes what bears its own name, so that it knows what must be there. */
const CHANGERS = ['a', 'b', 'c'] as const;
const NAMES_EACH = [0, 1, 2] as const;
/** Its messages, in every virtual host of this load. */
const QUEUE = 'held';
const MESSAGES_MAX = 5;

/** What is there, as text; undefined: nothing. */
type Value = string | undefined;

/**
 * Virtual hosts, users and permissions made, changed and deleted over the management API, and messages stored in those virtual hosts.
 * Of each thing it remembers what it may be: what an answer said, and while an answer is owed either what was or what will be.
 */
export class AccessLoad {
  /** Answered changes. */
  answered = 0;
  readonly lost: string[] = [];
  readonly resurrected: string[] = [];
  /** By what it is, such as `vhost a0`. What is not in it is nothing. */
  readonly #possible = new Map<string, Set<Value>>();

  constructor(private readonly random: Random) {}

  /** Changes one thing after the other until the broker is gone. Resolves then. */
  async runUntilLost(broker: Addresses): Promise<void> {
    await Promise.all(CHANGERS.map((changer) => this.#changeUntilLost(broker, changer)));
  }

  /** Compares what a broker has after its start with what it may have, which is from then on what it has. */
  async check(broker: Addresses): Promise<void> {
    const found = await thingsOf(broker);
    for (const thing of new Set([...found.keys(), ...this.#possible.keys()])) {
      const value = found.get(thing);
      const possible = this.#possible.get(thing) ?? new Set([undefined]);
      if (!possible.has(value)) {
        const sentence = `${thing} is ${value}, not ${[...possible].join(' or ')}`;
        const isRevived = value !== undefined && possible.size === 1 && possible.has(undefined);
        (isRevived ? this.resurrected : this.lost).push(sentence);
      }
      this.#possible.set(thing, new Set([value]));
    }
  }

  async #changeUntilLost(broker: Addresses, changer: string): Promise<void> {
    for (;;) {
      const virtualHost = `${changer}${this.random.pick(NAMES_EACH)}`;
      const user = `${changer}${this.random.pick(NAMES_EACH)}`;
      if ((await this.#change(broker, virtualHost, user)) === 'lost') return;
    }
  }

  #change(broker: Addresses, virtualHost: string, user: string): Promise<'answered' | 'lost'> {
    const { random } = this;
    const text = String(random.between(0, 1_000_000));
    const permission = `permissions/${virtualHost}/${user}`;
    const hasHost = this.#isThere(`vhosts/${virtualHost}`);
    const hasUser = this.#isThere(`users/${user}`);
    const dice = random.next();
    if (dice < 0.1) return this.#delete(broker, `vhosts/${virtualHost}`, this.#thingsIn(virtualHost));
    if (dice < 0.2) return this.#delete(broker, `users/${user}`, this.#thingsOf(user));
    if (dice < 0.3) return this.#delete(broker, permission, []);
    if (dice < 0.5 && hasHost && hasUser) {
      return this.#put(broker, permission, { configure: text, write: '', read: '.*' }, new Map([[permission, text]]));
    }
    if (dice < 0.6 && hasHost) return this.#publish(broker, virtualHost);
    if (dice < 0.8) {
      const secret = Buffer.from(text).toString('base64');
      const made = new Map([[`users/${user}`, `${secret} monitoring`]]);
      return this.#put(broker, `users/${user}`, { password_hash: secret, tags: 'monitoring' }, made);
    }
    const made = new Map([[`vhosts/${virtualHost}`, text]]);
    // Whoever makes one may do everything in it.
    if (!hasHost) made.set(`permissions/${virtualHost}/${ADMINISTRATOR}`, '.*');
    return this.#put(broker, `vhosts/${virtualHost}`, { description: text }, made);
  }

  #put(broker: Addresses, path: string, body: object, made: ReadonlyMap<string, string>): Promise<'answered' | 'lost'> {
    return this.#during(made, () => ask(broker, 'PUT', path, body));
  }

  #delete(broker: Addresses, path: string, alsoGone: readonly string[]): Promise<'answered' | 'lost'> {
    return this.#during(new Map([path, ...alsoGone].map((thing) => [thing, undefined])), () =>
      ask(broker, 'DELETE', path),
    );
  }

  /** Some confirmed messages, in a queue of the virtual host that is declared before. */
  #publish(broker: Addresses, virtualHost: string): Promise<'answered' | 'lost'> {
    const thing = `messages ${virtualHost}`;
    const before = Number(this.#certain(thing) ?? 0);
    const count = this.random.between(1, MESSAGES_MAX);
    for (let some = 0; some < count; some++) this.#mayBe(thing, String(before + some));
    return this.#during(new Map([[thing, String(before + count)]]), () => publish(broker, virtualHost, count));
  }

  /** While `request` is on its way the things may be as they were or as it makes them; then as it made them. */
  async #during(
    changes: ReadonlyMap<string, Value>,
    request: () => Promise<'answered' | 'lost'>,
  ): Promise<'answered' | 'lost'> {
    for (const [thing, value] of changes) this.#mayBe(thing, value);
    const outcome = await request();
    if (outcome === 'lost') return outcome;
    this.answered += 1;
    for (const [thing, value] of changes) this.#possible.set(thing, new Set([value]));
    return outcome;
  }

  #mayBe(thing: string, value: Value): void {
    const possible = this.#possible.get(thing);
    if (possible === undefined) this.#possible.set(thing, new Set([undefined, value]));
    else possible.add(value);
  }

  #certain(thing: string): Value {
    return this.#possible.get(thing)?.values().next().value;
  }

  #isThere(thing: string): boolean {
    return this.#certain(thing) !== undefined;
  }

  #thingsIn(virtualHost: string): string[] {
    const permissions = [...this.#possible.keys()].filter((thing) => thing.startsWith(`permissions/${virtualHost}/`));
    return [...permissions, `messages ${virtualHost}`];
  }

  #thingsOf(user: string): string[] {
    return [...this.#possible.keys()].filter((thing) => thing.startsWith('permissions/') && thing.endsWith(`/${user}`));
  }
}

/** Where a broker is reached. */
interface Addresses {
  amqp: string;
  management: string;
}

/** All that this load makes, as the broker shows it. */
async function thingsOf(broker: Addresses): Promise<Map<string, Value>> {
  const things = new Map<string, Value>();
  for (const { name, description } of await list(broker, 'vhosts')) things.set(`vhosts/${name}`, description);
  for (const { name, password_hash: secret, tags } of await list(broker, 'users')) {
    things.set(`users/${name}`, `${secret} ${tags}`);
  }
  for (const { vhost, user, configure } of await list(broker, 'permissions')) {
    things.set(`permissions/${vhost}/${user}`, configure);
  }
  for (const { vhost, name, messages } of await list(broker, 'queues')) {
    if (name === QUEUE) things.set(`messages ${vhost}`, String(messages));
  }
  // What a broker has from its first start.
  for (const thing of ['vhosts//', `users/${ADMINISTRATOR}`, `permissions///${ADMINISTRATOR}`]) things.delete(thing);
  return things;
}

async function list({ management }: Addresses, page: string): Promise<Record<string, string>[]> {
  const answer = await fetch(`${management}/api/${page}`, { headers: { authorization: authorization() } });
  if (!answer.ok) throw new Error(`GET ${page} answered ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Record<string, string>[];
}

/** 404 to a DELETE is an answer too. */
async function ask({ management }: Addresses, method: string, path: string, body?: object) {
  const headers = { authorization: authorization(), 'content-type': 'application/json' };
  const request = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  // The killed broker answers nothing, or an answer without an end.
  const answer = await fetch(`${management}/api/${path}`, request).catch(() => undefined);
  if (answer === undefined) return 'lost';
  if (answer.ok || (method === 'DELETE' && answer.status === 404)) return 'answered';
  throw new Error(`${method} ${path} answered ${answer.status} ${await answer.text()}`);
}

async function publish({ amqp }: Addresses, virtualHost: string, count: number): Promise<'answered' | 'lost'> {
  try {
    const model = await connect(`${amqp}/${virtualHost}`);
    model.on('error', () => undefined); // the kill
    const channel = await model.createConfirmChannel();
    await channel.assertQueue(QUEUE, { durable: true });
    for (let left = count; left > 0; left--) channel.sendToQueue(QUEUE, Buffer.from(virtualHost), { persistent: true });
    await channel.waitForConfirms();
    await closeAmqp(model);
    return 'answered';
  } catch (error) {
    // A connection that the broker itself refuses or closes is a finding, one that breaks is the kill.
    if (/NOT_ALLOWED|ACCESS|NOT_FOUND|PRECONDITION|INTERNAL/i.test(String(error))) throw error;
    return 'lost';
  }
}

function authorization(): string {
  return `Basic ${Buffer.from(`${ADMINISTRATOR}:${ADMINISTRATOR}`).toString('base64')}`;
}
