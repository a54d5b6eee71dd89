import { describe, expect, it } from '@jest/globals';
import { encodeMethod } from '#amqp-codec';
import { WireFixture } from '../wire.harness.js';

describe('a channel', () => {
  it('must be opened first, and only once', async () => {
    const early = new WireFixture().connects();
    await early.handshakes();
    early.sends('queue.declare', { queue: 'q' });
    await early.expects('connection.close', { replyCode: 504, replyText: "CHANNEL_ERROR - expected 'channel.open'" });

    const twice = await new WireFixture().aClient();
    twice.sends('channel.open');
    await twice.expects('connection.close', { replyCode: 504, classId: 20, methodId: 10 });
  });

  it('counts against channel_max', async () => {
    const peer = new WireFixture({ channelMax: 2 }).connects();
    await peer.handshakes();
    await peer.opens(7);
    await peer.opens(9);
    peer.channel = 1;
    peer.sends('channel.open');
    await peer.expects('connection.close', { replyCode: 530, classId: 0, methodId: 0 });
  });

  it('closed by an error discards what follows until close-ok; then its number is free', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    peer.sends('queue.purge', { queue: 'missing' });
    peer.publishes('q', 'after the error');
    peer.sends('basic.ack', { deliveryTag: 9 });
    peer.sends('queue.declare', { queue: 'after' });
    const replyText = "NOT_FOUND - no queue 'missing' in vhost '/'";
    await peer.expects('channel.close', { replyCode: 404, replyText, classId: 50, methodId: 30 });
    await peer.expectsNothing();
    expect(fixture.virtualHost.queue('q').ready).toHaveLength(0);
    peer.sends('channel.close-ok');
    await peer.opens(1);
  });

  it('cannot be opened anew before close-ok', async () => {
    const peer = await new WireFixture().aClient();
    peer.sends('queue.purge', { queue: 'missing' });
    await peer.expects('channel.close');
    peer.sends('channel.open');
    const replyText = "CHANNEL_ERROR - second 'channel.open' seen";
    await peer.expects('connection.close', { replyCode: 504, replyText, classId: 20, methodId: 10 });
  });

  it('answers a close that crosses its own', async () => {
    const peer = await new WireFixture().aClient();
    peer.sends('queue.purge', { queue: 'missing' });
    peer.sends('channel.close', { replyCode: 200 });
    await peer.expects('channel.close');
    await peer.expects('channel.close-ok');
    peer.sends('channel.close-ok');
    await peer.opens(1);
  });

  it('is closed by the client after the effects of what it sent, and may be opened again at once', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    peer.publishes('q', 'one');
    peer.sends('channel.close', { replyCode: 200 });
    peer.sends('channel.open');
    await peer.expects('channel.close-ok');
    await peer.expects('channel.open-ok');
    expect(fixture.virtualHost.queue('q').ready).toHaveLength(1);
  });

  it('returns unsettled deliveries when it closes, marked redelivered, and drops half a content', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    for (const body of ['a', 'b', 'c']) peer.publishes('q', body);
    peer.sends('basic.consume', { queue: 'q', consumerTag: 'c' });
    await peer.expects('basic.consume-ok');
    for (const _ of 'abc') await peer.expects('basic.deliver');
    peer.sends('basic.ack', { deliveryTag: 2 });
    peer.sends('basic.publish', { routingKey: 'q' });
    peer.write(Buffer.from('0200010000000e003c0000000000000000000a0000ce', 'hex'));
    peer.sends('connection.close');
    await peer.expects('connection.close-ok');
    const queue = fixture.virtualHost.queue('q');
    expect(queue.ready.map(({ message, redelivered }) => [message.body.toString(), redelivered])).toEqual([
      ['a', true],
      ['c', true],
    ]);
  });

  it('answers pipelined methods in order, also behind a get that has to wait for its body', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    peer.publishes('q', 'slow');
    fixture.virtualHost.delaysGets = true;
    peer.sends('basic.get', { queue: 'q' });
    peer.sends('queue.declare', { queue: 'p' });
    peer.sends('confirm.select');
    await peer.expectsNothing();
    fixture.virtualHost.answerGet!();
    expect((await peer.expects('basic.get-ok', { deliveryTag: 1 })).content.body.toString()).toBe('slow');
    await peer.expects('queue.declare-ok');
    await peer.expects('confirm.select-ok');
  });

  it('hands a message fetched too late back to its queue', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    peer.publishes('q', 'slow');
    fixture.virtualHost.delaysGets = true;
    peer.sends('basic.get', { queue: 'q' });
    await peer.expectsNothing();
    peer.cut();
    await peer.expectsEnd();
    await peer.expectsNothing();
    fixture.virtualHost.answerGet!();
    expect(fixture.virtualHost.queue('q').calls).toEqual([['requeue', [1]]]);
  });

  it('refuses flow(false), and methods that only a broker may send', async () => {
    const flow = await new WireFixture().aClient();
    flow.sends('channel.flow', { active: true });
    await flow.expects('channel.flow-ok', { active: true });
    flow.sends('channel.flow', { active: false });
    await flow.expects('connection.close', { replyCode: 540 });

    const odd = await new WireFixture().aClient();
    odd.write(encodeMethod(1, 'basic.get-empty', {}));
    await odd.expects('connection.close', { replyCode: 503 });
  });

  it('gives any access request a ticket', async () => {
    const peer = await new WireFixture().aClient();
    peer.sends('access.request', { realm: '/data' });
    await peer.expects('access.request-ok', { ticket: 1 });
  });
});

describe('exchanges and queues by the client', () => {
  it('lose the line ends in their names', async () => {
    const peer = await new WireFixture().aClient();
    peer.sends('queue.declare', { queue: 'a\r\nb' });
    await peer.expects('queue.declare-ok', { queue: 'ab' });
  });

  it('reach the virtual host, with an answer unless it asked for none', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    peer.sends('exchange.declare', { exchange: 'x\r\n', type: 'fanout', nowait: true });
    peer.sends('exchange.declare', { exchange: 'y', type: 'fanout' });
    await peer.expects('exchange.declare-ok');
    peer.sends('exchange.bind', { source: 'x', destination: 'y' });
    await peer.expects('exchange.bind-ok');
    peer.sends('exchange.unbind', { source: 'x', destination: 'y' });
    await peer.expects('exchange.unbind-ok');
    peer.sends('exchange.delete', { exchange: 'x' });
    await peer.expects('exchange.delete-ok');
    peer.sends('queue.declare', { queue: 'q', nowait: true });
    peer.sends('queue.bind', { queue: 'q', exchange: 'y', routingKey: 'k' });
    await peer.expects('queue.bind-ok');
    peer.sends('queue.unbind', { queue: 'q', exchange: 'y', routingKey: 'k' });
    await peer.expects('queue.unbind-ok');
    expect(fixture.virtualHost.asked).toEqual([
      'declare exchange x',
      'declare exchange y',
      'bind exchange x to y',
      'unbind exchange x from y',
      'delete exchange x',
      'bind y to q with k',
      'unbind y from q',
    ]);
  });

  it('may leave the queue name empty after a declare on the same channel', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    peer.sends('queue.declare', { queue: '' });
    await peer.expects('queue.declare-ok', { queue: 'amq.gen-1' });
    peer.sends('queue.bind', { exchange: 'x' });
    await peer.expects('queue.bind-ok');
    expect(fixture.virtualHost.asked).toEqual(['bind x to amq.gen-1 with amq.gen-1']);
    peer.sends('queue.purge');
    await peer.expects('queue.purge-ok', { messageCount: 0 });
    peer.sends('queue.delete');
    await peer.expects('queue.delete-ok', { messageCount: 0 });

    await peer.opens(2);
    peer.sends('basic.get');
    await peer.expects('channel.close', { replyCode: 404, replyText: 'NOT_FOUND - no previously declared queue' });
  });
});
