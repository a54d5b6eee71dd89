import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EngineUnderTest, ticks } from './engine.harness.js';
import { VIRTUAL_HOSTS_MAX } from './virtual-hosts.js';

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open();
});
afterEach(() => engine.close());

function names(): string[] {
  return engine.engine.stats().virtualHosts.map(({ name }) => name);
}

describe('virtual hosts', () => {
  it("begin with '/' and its predeclared exchanges", () => {
    expect(engine.engine.stats().virtualHosts).toEqual([
      {
        name: '/',
        description: 'Default virtual host',
        tags: [],
        limits: {},
        queues: 0,
        exchanges: 7,
        bindings: 0,
        ready: 0,
        unacked: 0,
      },
    ]);
  });

  it('do not see each other', async () => {
    engine.queue('q');
    engine.publish('', 'q', 'day');
    engine.enterNewVirtualHost('night');
    expect(() => engine.ready('q')).toThrow("NOT_FOUND - no queue 'q' in vhost 'night'");
    engine.queue('q', {}, { exclusive: false });
    engine.exchange('x', 'fanout');
    engine.bind('x', 'q');
    engine.publish('x', '', 'night');
    expect(await engine.drain('q')).toEqual(['night']);
    engine.virtualHostName = '/';
    expect(await engine.drain('q')).toEqual(['day']);
    expect(() => engine.publish('x', '', 'day')).toThrow("NOT_FOUND - no exchange 'x' in vhost '/'");
  });

  it('come back with what they hold and what is said of them', async () => {
    expect(engine.engine.putVirtualHost({ name: 'night', description: 'a', tags: [] })).toBe('created');
    expect(engine.engine.putVirtualHost({ name: 'night', description: 'b', tags: ['c'] })).toBe('changed');
    engine.virtualHostName = 'night';
    engine.queue('dead');
    engine.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead', 'x-message-ttl': 1_000 });
    engine.publish('', 'q', '1');
    await engine.reopen();
    expect(engine.engine.stats().virtualHosts).toContainEqual(
      expect.objectContaining({ name: 'night', description: 'b', tags: ['c'], queues: 2, ready: 1 }),
    );

    await engine.clock.advance(2_000);
    // Its body comes from disk first.
    while (engine.ready('dead') === 0) await ticks();
    expect(await engine.drain('dead')).toEqual(['1']);
    engine.virtualHostName = '/';
    engine.queue('q');
    expect(engine.ready('q')).toBe(0);
  });

  it('are deleted with everything in them, after their connections were told', async () => {
    engine.enterNewVirtualHost('night');
    engine.queue('q');
    engine.exchange('x', 'topic');
    engine.bind('x', 'q', '#');
    engine.bindExchange('amq.direct', 'amq.fanout', 'k');
    engine.publish('x', 'a', '1');
    const { host } = engine;
    const seen: string[] = [];
    engine.engine.onDeleting((name) => seen.push(`${name} with ${host.purgeQueue('q', engine.owner)} message`));
    expect(engine.engine.deleteVirtualHost('night')).toBe(true);
    expect(engine.engine.deleteVirtualHost('night')).toBe(false);
    expect(seen).toEqual(['night with 1 message']);
    await ticks();
    await engine.reopen();
    expect(names()).toEqual(['/']);

    engine.enterNewVirtualHost('night');
    expect(engine.engine.stats().virtualHosts[1]).toMatchObject({ queues: 0, exchanges: 7, bindings: 0 });
    await engine.reopen();
    expect(engine.reports).toEqual([]);
  });

  it("get '/' again at the start when none is left", async () => {
    engine.engine.deleteVirtualHost('/');
    expect(names()).toEqual([]);
    await engine.reopen();
    expect(names()).toEqual(['/']);
  });

  it('have names that AMQP can carry, and are not without number', () => {
    const put = (name: string) => engine.engine.putVirtualHost({ name, description: '', tags: [] });
    expect(() => put('')).toThrow('the name of a virtual host has 1 to 255 bytes, not 0');
    expect(() => put('ä'.repeat(128))).toThrow('not 256');
    for (let number = 1; number < VIRTUAL_HOSTS_MAX; number++) put(`host-${number}`);
    expect(() => put('one-more')).toThrow('there are 1000 virtual hosts; delete one first');
  });
});
