import { describe, expect, it } from '@jest/globals';
import { tableOf } from '#amqp-codec';
import { Definitions } from './definitions.js';
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

describe('definitions', () => {
  it('come back as they were, field types included', () => {
    const log = new MemoryLog();
    const definitions = new Definitions(log, '/');
    definitions.saveQueue(queue);
    definitions.saveExchange(exchange);
    definitions.saveBinding('id', binding);
    expect(new Definitions(log, '/').load()).toEqual({
      exchanges: [exchange],
      queues: [queue],
      bindings: [binding],
      damaged: [],
    });

    definitions.dropQueue('a:b');
    definitions.dropExchange('x');
    definitions.dropBinding('id');
    expect(new Definitions(log, '/').load()).toEqual({ exchanges: [], queues: [], bindings: [], damaged: [] });
  });

  it('never give out a queue number twice', () => {
    const log = new MemoryLog();
    expect(new Definitions(log, '/').takeQueueNumber()).toBe(1);
    expect(new Definitions(log, '/').takeQueueNumber()).toBe(2);
  });

  it('name what cannot be read and keep the rest', () => {
    const log = new MemoryLog();
    const definitions = new Definitions(log, '/');
    definitions.saveExchange(exchange);
    log.define('queue:/:broken', Buffer.from('{"name":'));
    const stored = definitions.load();
    expect(stored.exchanges).toEqual([exchange]);
    expect(stored.damaged).toEqual([expect.stringContaining('definition queue:/:broken cannot be read')]);
  });
});
