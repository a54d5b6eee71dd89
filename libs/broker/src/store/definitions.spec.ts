import { describe, expect, it } from '@jest/globals';
import { tableOf } from '#amqp-codec';
import { Definitions, loadDefinitions, QueueNumbers } from './definitions.js';
import type { DefinitionLog } from './message-log.js';

class MemoryLog implements DefinitionLog {
  readonly definitions = new Map<string, Buffer>();

  define(key: string, value: Buffer | undefined): void {
    if (value === undefined) this.definitions.delete(key);
    else this.definitions.set(key, value);
  }
}

const queue = {
  name: 'a:b',
  number: 7,
  autoDelete: false,
  arguments: tableOf({ 'x-message-ttl': 5n, nested: { a: 1 } }),
};
const exchange = { name: 'x', type: 'topic', autoDelete: true, internal: false, arguments: [] };
const binding = { source: 'x', destination: 'a:b', kind: 'queue', routingKey: '#', arguments: [] } as const;

const none = { properties: undefined, exchanges: [], queues: [], bindings: [], damaged: [] };

function definitionsIn(log: MemoryLog, virtualHost = '/'): Definitions {
  return new Definitions(log, virtualHost, new QueueNumbers(log));
}

describe('definitions', () => {
  it('come back as they were, field types included', () => {
    const log = new MemoryLog();
    const definitions = definitionsIn(log);
    const properties = { name: '/', description: 'the default', tags: ['a'], limits: { maxQueues: 1 } };
    definitions.saveVirtualHost(properties);
    definitions.saveQueue(queue);
    definitions.saveExchange(exchange);
    definitions.saveBinding('id', binding);
    expect(loadDefinitions(log)).toEqual(
      new Map([['/', { properties, exchanges: [exchange], queues: [queue], bindings: [binding], damaged: [] }]]),
    );

    definitions.dropQueue('a:b');
    definitions.dropExchange('x');
    definitions.dropBinding('id');
    definitions.dropVirtualHost();
    expect(loadDefinitions(log)).toEqual(new Map());
  });

  it('never give out a queue number twice', () => {
    const log = new MemoryLog();
    expect(new QueueNumbers(log).take()).toBe(1);
    expect(new QueueNumbers(log).take()).toBe(2);
  });

  it('keep virtual hosts apart, whatever their names', () => {
    const log = new MemoryLog();
    const names = ['/', '/:a', '/%3Aa', 'a:b:c', ''];
    for (const name of names) definitionsIn(log, name).saveExchange({ ...exchange, name });
    expect(loadDefinitions(log)).toEqual(
      new Map(names.map((name) => [name, { ...none, exchanges: [{ ...exchange, name }] }])),
    );
  });

  it('name what cannot be read and keep the rest', () => {
    const log = new MemoryLog();
    definitionsIn(log).saveExchange(exchange);
    log.define('queue:/:broken', Buffer.from('{"name":'));
    const stored = loadDefinitions(log).get('/')!;
    expect(stored.exchanges).toEqual([exchange]);
    expect(stored.damaged).toEqual([expect.stringContaining('definition queue:/:broken cannot be read')]);
  });
});
