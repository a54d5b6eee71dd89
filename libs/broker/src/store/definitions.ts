import { decodeTable, encodeTable, type Table } from '#amqp-codec';
import type { DefinitionLog } from './message-log.js';

// Definitions are JSON values under these keys. What identifies a thing stands in its value too, so a key is never taken apart.
//
//   exchange:<vhost>:<name>
//   queue:<vhost>:<name>
//   binding:<vhost>:<identity>
//   next-queue-number            numbers below it were given out; a number never comes back

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

export interface StoredDefinitions {
  exchanges: StoredExchange[];
  queues: StoredQueue[];
  bindings: StoredBinding[];
  /** One sentence for each value that could not be read; it is left where it is. */
  damaged: string[];
}

const NUMBER_KEY = 'next-queue-number';
/** 0 is the number of queues that are not in the log. */
const FIRST_NUMBER = 1;

/** The durable exchanges, queues and bindings of one virtual host in the log. */
export class Definitions {
  #nextQueueNumber: number;

  constructor(
    private readonly log: DefinitionLog,
    private readonly virtualHost: string,
  ) {
    this.#nextQueueNumber = Number(log.definitions.get(NUMBER_KEY)?.toString() ?? FIRST_NUMBER);
  }

  load(): StoredDefinitions {
    const stored: StoredDefinitions = { exchanges: [], queues: [], bindings: [], damaged: [] };
    const lists = { exchange: stored.exchanges, queue: stored.queues, binding: stored.bindings } as const;
    for (const [key, value] of this.log.definitions) {
      for (const kind of ['exchange', 'queue', 'binding'] as const) {
        if (!key.startsWith(this.#key(kind, ''))) continue;
        const read = decodeDefinition(value);
        if (read instanceof Error) stored.damaged.push(`definition ${key} cannot be read: ${read.message}`);
        else (lists[kind] as unknown[]).push(read);
      }
    }
    return stored;
  }

  /** A queue with this number exists, whatever became of the record of the next one: two with one number would share messages. */
  noteQueueNumber(number: number): void {
    this.#nextQueueNumber = Math.max(this.#nextQueueNumber, number + 1);
  }

  takeQueueNumber(): number {
    const number = this.#nextQueueNumber++;
    this.log.define(NUMBER_KEY, Buffer.from(String(this.#nextQueueNumber)));
    return number;
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
    return `${kind}:${this.virtualHost}:${name}`;
  }
}

/** A table does not survive JSON, its bytes do. */
function encodeDefinition(definition: StoredExchange | StoredQueue | StoredBinding): Buffer {
  const encoded = { ...definition, arguments: encodeTable(definition.arguments).toString('base64') };
  return Buffer.from(JSON.stringify(encoded));
}

function decodeDefinition(value: Buffer): object | Error {
  try {
    const encoded = JSON.parse(value.toString()) as { arguments: string };
    return { ...encoded, arguments: decodeTable(Buffer.from(encoded.arguments, 'base64')) };
  } catch (error) {
    return error as Error;
  }
}
