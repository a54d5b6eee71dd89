import { decodeTable, encodeTable, type Table } from '#amqp-codec';
import type { VirtualHostLimits } from '../virtual-host.js';
import type { DefinitionLog } from './message-log.js';

// Definitions are JSON values under these keys. What identifies a thing stands in its value too, so a key is taken apart for its virtual host only.
//
//   vhost:<vhost>
//   exchange:<vhost>:<name>
//   queue:<vhost>:<name>
//   binding:<vhost>:<identity>
//   next-queue-number            numbers below it were given out; a number never comes back
//
// In <vhost> a colon is written %3A and a percent sign %25, so that no name is the beginning of another's key.

export interface StoredExchange {
  name: string;
  type: string;
  autoDelete: boolean;
  internal: boolean;
  arguments: Table;
}

export interface StoredQueue {
  name: string;
  /** The queue's number in the log. */
  number: number;
  autoDelete: boolean;
  arguments: Table;
}

export interface StoredBinding {
  source: string;
  destination: string;
  kind: 'queue' | 'exchange';
  routingKey: string;
  arguments: Table;
}

export interface StoredVirtualHost {
  name: string;
  description: string;
  tags: string[];
  limits: VirtualHostLimits;
}

/** What the log holds of one virtual host. */
export interface StoredDefinitions {
  /** Undefined when its record is damaged, or of a time when there was only one virtual host. */
  properties: StoredVirtualHost | undefined;
  exchanges: StoredExchange[];
  queues: StoredQueue[];
  bindings: StoredBinding[];
  /** One sentence for each value that could not be read; it is left where it is. */
  damaged: string[];
}

const NUMBER_KEY = 'next-queue-number';
/** 0 is the number of queues that are not in the log. */
const FIRST_NUMBER = 1;

/** Gives out the numbers of queues in the log, over all virtual hosts. */
export class QueueNumbers {
  #next: number;

  constructor(private readonly log: DefinitionLog) {
    this.#next = Number(log.definitions.get(NUMBER_KEY)?.toString() ?? FIRST_NUMBER);
  }

  /** A queue with this number exists, whatever became of the record of the next one: two with one number would share messages. */
  note(number: number): void {
    this.#next = Math.max(this.#next, number + 1);
  }

  take(): number {
    const number = this.#next++;
    this.log.define(NUMBER_KEY, Buffer.from(String(this.#next)));
    return number;
  }
}

/**
 * Everything in the log, by virtual host. One that is known only by what it holds is there too: its own record may be damaged, and
 * that must not cost a message.
 */
export function loadDefinitions(log: DefinitionLog): Map<string, StoredDefinitions> {
  const byVirtualHost = new Map<string, StoredDefinitions>();
  for (const [key, value] of log.definitions) {
    const [kind, virtualHost] = kindAndVirtualHost(key);
    if (kind === undefined) continue;
    const stored = byVirtualHost.get(virtualHost) ?? noDefinitions();
    byVirtualHost.set(virtualHost, stored);
    if (kind === 'permission' || kind === 'topic-permission') continue;
    const read = kind === 'vhost' ? decodeJson(value) : decodeDefinition(value);
    if (read instanceof Error) stored.damaged.push(`definition ${key} cannot be read: ${read.message}`);
    else if (kind === 'vhost') stored.properties = read as StoredVirtualHost;
    else (stored[LISTS[kind]] as unknown[]).push(read);
  }
  return byVirtualHost;
}

const LISTS = { exchange: 'exchanges', queue: 'queues', binding: 'bindings' } as const;

function noDefinitions(): StoredDefinitions {
  return { properties: undefined, exchanges: [], queues: [], bindings: [], damaged: [] };
}

type Kind = keyof typeof LISTS | 'vhost' | 'permission' | 'topic-permission';
const KEY = /^(exchange|queue|binding|vhost|permission|topic-permission):([^:]*)/;

function kindAndVirtualHost(key: string): [kind: Kind | undefined, virtualHost: string] {
  const [, kind, virtualHost = ''] = KEY.exec(key) ?? [];
  return [kind as Kind | undefined, virtualHost.replaceAll('%3A', ':').replaceAll('%25', '%')];
}

/** A name as it stands in a key with others behind it. */
export function escapedForKey(name: string): string {
  return name.replaceAll('%', '%25').replaceAll(':', '%3A');
}

/** The durable part of one virtual host: its exchanges, queues and bindings in the log. */
export class Definitions {
  readonly #escapedName: string;

  constructor(
    private readonly log: DefinitionLog,
    virtualHost: string,
    readonly queueNumbers: QueueNumbers,
  ) {
    this.#escapedName = escapedForKey(virtualHost);
  }

  saveVirtualHost(properties: StoredVirtualHost): void {
    this.log.define(`vhost:${this.#escapedName}`, Buffer.from(JSON.stringify(properties)));
  }

  dropVirtualHost(): void {
    this.log.define(`vhost:${this.#escapedName}`, undefined);
  }

  saveExchange(exchange: StoredExchange): void {
    this.log.define(this.#key('exchange', exchange.name), encodeDefinition(exchange));
  }

  dropExchange(name: string): void {
    this.log.define(this.#key('exchange', name), undefined);
  }

  saveQueue(queue: StoredQueue): void {
    this.log.define(this.#key('queue', queue.name), encodeDefinition(queue));
  }

  dropQueue(name: string): void {
    this.log.define(this.#key('queue', name), undefined);
  }

  saveBinding(identity: string, binding: StoredBinding): void {
    this.log.define(this.#key('binding', identity), encodeDefinition(binding));
  }

  dropBinding(identity: string): void {
    this.log.define(this.#key('binding', identity), undefined);
  }

  #key(kind: 'exchange' | 'queue' | 'binding', name: string): string {
    return `${kind}:${this.#escapedName}:${name}`;
  }
}

/** A table does not survive JSON, its bytes do. */
function encodeDefinition(definition: StoredExchange | StoredQueue | StoredBinding): Buffer {
  const encoded = { ...definition, arguments: encodeTable(definition.arguments).toString('base64') };
  return Buffer.from(JSON.stringify(encoded));
}

function decodeDefinition(value: Buffer): object | Error {
  const encoded = decodeJson(value) as { arguments: string } | Error;
  if (encoded instanceof Error) return encoded;
  try {
    return { ...encoded, arguments: decodeTable(Buffer.from(encoded.arguments, 'base64')) };
  } catch (error) {
    return error as Error;
  }
}

function decodeJson(value: Buffer): object | Error {
  try {
    return JSON.parse(value.toString()) as object;
  } catch (error) {
    return error as Error;
  }
}
