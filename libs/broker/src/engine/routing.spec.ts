import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeProperties, type Properties, tableOf } from '#amqp-codec';
import { Message } from '../message.js';
import { EngineUnderTest, headersOf } from './engine.harness.js';

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open();
  for (const name of ['a', 'b', 'c']) engine.queue(name);
});
afterEach(() => engine.close());

describe('routing a publish', () => {
  it('stores a message once per queue, however many ways lead there', async () => {
    engine.exchange('x', 'direct');
    engine.bind('x', 'a', 'k');
    engine.bind('x', 'a', 'k', { note: 1 });
    engine.bind('x', 'a', 'other');
    expect(engine.publish('x', 'k', '1', { plainHeaders: { CC: ['other'] } })).toBe('routed');
    expect(engine.ready('a')).toBe(1);
  });

  it('tells an unroutable publish from a routed one', () => {
    engine.exchange('x', 'fanout');
    expect(engine.publish('x', 'k', '1')).toBe('unroutable');
    expect(engine.publish('', 'nowhere', '1')).toBe('unroutable');
  });

  it('follows bindings between exchanges and is not caught in a circle', () => {
    for (const name of ['x', 'y', 'z']) engine.exchange(name, 'fanout');
    engine.bindExchange('x', 'y');
    engine.bindExchange('y', 'z');
    engine.bindExchange('z', 'x');
    engine.bind('z', 'a');
    engine.bind('x', 'b');
    expect(engine.publish('x', '', '1')).toBe('routed');
    expect([engine.ready('a'), engine.ready('b'), engine.ready('c')]).toEqual([1, 1, 0]);
  });

  it('asks the alternate exchange only when nothing was found', () => {
    engine.exchange('rest', 'fanout');
    engine.bind('rest', 'b');
    engine.exchange('x', 'direct', { 'alternate-exchange': 'rest' });
    engine.bind('x', 'a', 'k');
    engine.publish('x', 'k', '1');
    engine.publish('x', 'unknown', '2');
    expect([engine.ready('a'), engine.ready('b')]).toEqual([1, 1]);
  });

  it('is unroutable when the alternate exchange does not exist or leads back', () => {
    engine.exchange('x', 'direct', { 'alternate-exchange': 'y' });
    expect(engine.publish('x', 'k', '1')).toBe('unroutable');
    engine.exchange('y', 'direct', { 'alternate-exchange': 'x' });
    expect(engine.publish('x', 'k', '1')).toBe('unroutable');
  });

  it('sends copies for CC and BCC and shows consumers no BCC', async () => {
    engine.publish('', 'a', '1', { plainHeaders: { CC: ['b'], BCC: ['c'], other: 7 } });
    for (const name of ['a', 'b', 'c']) {
      const { message } = (await engine.get(name))!;
      expect(headersOf(message)).toEqual({ CC: ['b'], other: 7 });
      expect(message.routingKey).toBe('a');
    }
  });

  it('refuses CC or BCC that is no array, and ignores members that are no strings', () => {
    expect(() => engine.publish('', 'a', '1', { plainHeaders: { CC: 'b' } })).toThrow(
      'PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"CC",longstr}',
    );
    expect(() => engine.publish('', 'a', '1', { plainHeaders: { BCC: 1 } })).toThrow(
      'PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"BCC",signedint}',
    );
    expect(engine.publish('', 'nowhere', '1', { plainHeaders: { CC: [1, 'b'] } })).toBe('routed');
    expect(engine.ready('b')).toBe(1);
  });

  it('tells beforehand what a publish would refuse, and stores nothing', () => {
    engine.queue('q');
    engine.exchange('inside', 'direct', {}, { internal: true });
    const check = (exchange: string, properties: Properties = {}) =>
      engine.host.checkPublish(new Message(exchange, 'q', encodeProperties(properties), Buffer.from('x')));
    expect(() => check('nope')).toThrow("no exchange 'nope'");
    expect(() => check('inside')).toThrow("cannot publish to internal exchange 'inside'");
    expect(() => check('', { expiration: 'soon' })).toThrow("invalid expiration 'soon'");
    expect(() => check('', { headers: tableOf({ CC: 'k' }) })).toThrow('unacceptable_type_in_header');
    check('');
    expect(engine.ready('q')).toBe(0);
  });

  it('refuses an internal exchange to clients but lets bindings lead there', () => {
    engine.exchange('inner', 'fanout', {}, { internal: true });
    engine.exchange('outer', 'fanout');
    engine.bind('inner', 'a');
    engine.bindExchange('outer', 'inner');
    expect(() => engine.publish('inner', '', '1')).toThrow(
      "ACCESS_REFUSED - cannot publish to internal exchange 'inner' in vhost '/'",
    );
    expect(engine.publish('outer', '', '1')).toBe('routed');
  });

  it('knows the exchanges every virtual host is born with', () => {
    engine.bind('amq.topic', 'a', 'x.*');
    engine.bind('amq.match', 'b', '', { h: 1 });
    expect(engine.publish('amq.topic', 'x.y', '1')).toBe('routed');
    expect(engine.publish('amq.match', '', '1', { plainHeaders: { h: 1 } })).toBe('routed');
    for (const name of ['amq.direct', 'amq.fanout', 'amq.headers'])
      expect(engine.publish(name, '', '1')).toBe('unroutable');
  });

  it('writes a persistent message for several queues into the log once', () => {
    engine.exchange('x', 'fanout');
    for (const name of ['a', 'b', 'c']) engine.bind('x', name);
    const before = engine.engine.durability.appended;
    engine.publish('x', '', Buffer.alloc(10_000));
    expect(engine.engine.durability.appended - before).toBeLessThan(11_000);
  });
});

describe('exchanges that go by themselves', () => {
  it('deletes an auto-delete exchange with the last binding from it', () => {
    engine.exchange('x', 'fanout', {}, { autoDelete: true });
    engine.bind('x', 'a');
    engine.bind('x', 'b');
    engine.host.unbindQueue({ source: 'x', destination: 'a', routingKey: '', arguments: [] }, engine.owner);
    expect(engine.publish('x', '', '1')).toBe('routed');
    engine.host.deleteQueue('b', { ifUnused: false, ifEmpty: false }, engine.owner);
    expect(() => engine.publish('x', '', '1')).toThrow("NOT_FOUND - no exchange 'x' in vhost '/'");
  });

  it('keeps one that never had a binding', () => {
    engine.exchange('x', 'fanout', {}, { autoDelete: true });
    engine.host.unbindQueue({ source: 'x', destination: 'a', routingKey: '', arguments: [] }, engine.owner);
    expect(engine.publish('x', '', '1')).toBe('unroutable');
  });

  it('takes bindings along when an end goes, also after a restart', async () => {
    engine.exchange('x', 'fanout');
    engine.exchange('y', 'fanout');
    engine.bindExchange('x', 'y');
    engine.bind('y', 'a');
    engine.host.deleteExchange('y', false);
    await engine.reopen();
    engine.exchange('y', 'fanout');
    expect(engine.publish('x', '', '1')).toBe('unroutable');
    expect(engine.engine.stats().bindings).toBe(0);
  });
});
