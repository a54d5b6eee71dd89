import { describe, expect, it } from '@jest/globals';
import { encodeMethod, encodeProperties, peekProperty, tableOf } from '#amqp-codec';
import { eventually, WireFixture } from '../wire.harness.js';

const PERSISTENT = { deliveryMode: 2 };

describe('publishing', () => {
  it('keeps properties and body as they came, split into frames or not', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    const properties = { contentType: 'text/plain', headers: tableOf({ a: 1, b: ['x'] }), priority: 3, messageId: 'm' };
    const bodies = [Buffer.alloc(0), Buffer.from('small'), Buffer.alloc(20_000, 'large')];
    for (const body of bodies) peer.publishes('q', body, properties);
    peer.sends('basic.consume', { queue: 'q', consumerTag: 'c', noAck: true });
    await peer.expects('basic.consume-ok');
    for (const body of bodies) {
      const { content } = await peer.expects('basic.deliver', { exchange: '', routingKey: 'q', redelivered: false });
      expect(content.body.equals(body)).toBe(true);
      expect(content.properties.equals(encodeProperties(properties))).toBe(true);
    }
  });

  it('may interleave the contents of two channels', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    await peer.opens(2);
    peer.sends('basic.publish', { routingKey: 'q' }, 1);
    peer.sends('basic.publish', { routingKey: 'q' }, 2);
    for (const channel of ['01', '02']) {
      peer.write(Buffer.from(`0200${channel}0000000e003c000000000000000000010000ce`, 'hex'));
    }
    for (const channel of ['02', '01']) peer.write(Buffer.from(`0300${channel}000000013${channel[1]}ce`, 'hex'));
    const queue = fixture.virtualHost.queue('q');
    await eventually(() => queue.ready.length === 2);
    expect(queue.ready.map(({ message }) => message.body.toString())).toEqual(['2', '1']);
  });

  it('to a missing exchange closes the channel with 404 of basic.publish', async () => {
    const peer = await new WireFixture().aClient();
    peer.publishes('k', 'x', {}, { exchange: 'nope' });
    await peer.expects('channel.close', {
      replyCode: 404,
      replyText: "NOT_FOUND - no exchange 'nope' in vhost '/'",
      classId: 60,
      methodId: 40,
    });
  });

  it('with immediate is not implemented', async () => {
    const peer = await new WireFixture().aClient();
    peer.publishes('q', 'x', {}, { immediate: true });
    await peer.expects('connection.close', { replyCode: 540, replyText: 'NOT_IMPLEMENTED - immediate=true' });
  });

  it('refuses a user id that is not the login name, and a message beyond the size limit', async () => {
    const peer = await new WireFixture({ messageBytesMax: 10 }).aClient();
    await peer.declares('q');
    peer.publishes('q', 'x', { userId: 'guest' });
    peer.publishes('q', 'x', { userId: 'root' });
    const replyText = "PRECONDITION_FAILED - user_id property set to 'root' but authenticated user was 'guest'";
    await peer.expects('channel.close', { replyCode: 406, replyText });
    await peer.opens(2);
    peer.publishes('q', 'x'.repeat(11));
    const tooLarge = 'PRECONDITION_FAILED - message size 11 is larger than configured max size 10';
    await peer.expects('channel.close', { replyCode: 406, replyText: tooLarge });
  });

  it('closes the connection for broken content: wrong class, unreadable properties, too many bytes, wrong order', async () => {
    const header = (classId: string, size: string, flags: string) =>
      Buffer.from(`0200010000000e${classId}0000${size.padStart(16, '0')}${flags}ce`, 'hex');
    for (const [frames, replyCode] of [
      [[header('0032', '1', '0000')], 505],
      [[header('003c', '1', '8000')], 502],
      [[header('003c', '1', '0001')], 502],
      [[header('003c', '1', '0000'), Buffer.from('030001000000026161ce', 'hex')], 501],
      [[header('003c', '1', '0000'), header('003c', '1', '0000')], 505],
      [[encodeMethod(1, 'tx.select', {})], 505],
    ] as const) {
      const peer = await new WireFixture().aClient();
      peer.sends('basic.publish', { routingKey: 'q' });
      for (const frame of frames) peer.write(frame);
      await peer.expects('connection.close', { replyCode });
    }
  });
});

describe('mandatory', () => {
  it('returns the content before the confirm, with the exchange and key it was sent to', async () => {
    const peer = await new WireFixture().aClient();
    peer.sends('confirm.select');
    await peer.expects('confirm.select-ok');
    peer.publishes('nobody', 'back', { correlationId: 'c' }, { mandatory: true });
    const { content } = await peer.expects('basic.return', {
      replyCode: 312,
      replyText: 'NO_ROUTE',
      exchange: '',
      routingKey: 'nobody',
    });
    expect([content.body.toString(), peekProperty(content.properties, 'correlationId')]).toEqual(['back', 'c']);
    await peer.expects('basic.ack', { deliveryTag: 1, multiple: false });
  });
});

describe('confirms', () => {
  async function aConfirmingClient() {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    peer.sends('confirm.select');
    await peer.expects('confirm.select-ok');
    return { fixture, peer };
  }

  it('of persistent messages wait for the log, and go out once for all that are durable', async () => {
    const { fixture, peer } = await aConfirmingClient();
    for (const body of ['a', 'b', 'c']) peer.publishes('q', body, PERSISTENT);
    await eventually(() => fixture.virtualHost.queue('q').ready.length === 3);
    await peer.expectsNothing();
    expect(fixture.durability.syncRequests).toBeGreaterThan(0);
    fixture.durability.sync();
    await peer.expects('basic.ack', { deliveryTag: 3, multiple: true });
    await peer.expectsNothing();
  });

  it('of transient and unroutable messages come at once', async () => {
    const { peer } = await aConfirmingClient();
    peer.publishes('q', 'transient');
    await peer.expects('basic.ack', { deliveryTag: 1, multiple: false });
    peer.publishes('nobody', 'unroutable', PERSISTENT);
    await peer.expects('basic.ack', { deliveryTag: 2, multiple: false });
  });

  it('never cover what is not durable yet', async () => {
    const { fixture, peer } = await aConfirmingClient();
    peer.publishes('q', 'first', PERSISTENT);
    await eventually(() => fixture.durability.appended === 100);
    peer.publishes('q', 'second', PERSISTENT);
    await eventually(() => fixture.durability.appended === 200);
    fixture.durability.sync(100);
    await peer.expects('basic.ack', { deliveryTag: 1 });
    await peer.expectsNothing();
    fixture.durability.sync();
    await peer.expects('basic.ack', { deliveryTag: 2 });
  });

  it('say nack for what a queue refused, and never cover it with multiple', async () => {
    const { fixture, peer } = await aConfirmingClient();
    peer.sends('queue.declare', { queue: 'full' });
    await peer.expects('queue.declare-ok');
    fixture.virtualHost.queue('full').rejectsPublishes = true;
    for (const key of ['q', 'q', 'full', 'q', 'q']) peer.publishes(key, 'x', PERSISTENT);
    await eventually(() => fixture.virtualHost.queue('q').ready.length === 4);
    fixture.durability.sync();
    await peer.expects('basic.ack', { deliveryTag: 2, multiple: true });
    await peer.expects('basic.nack', { deliveryTag: 3, multiple: false, requeue: false });
    await peer.expects('basic.ack', { deliveryTag: 5, multiple: true });
  });

  it('stand behind the acknowledgements sent before on the same channel', async () => {
    const { fixture, peer } = await aConfirmingClient();
    peer.publishes('q', 'in');
    await peer.expects('basic.ack');
    peer.sends('basic.get', { queue: 'q' });
    await peer.expects('basic.get-ok');
    const queue = fixture.virtualHost.queue('q');
    const order: string[] = [];
    queue.acknowledge = () => void order.push('ack');
    const { publish } = fixture.virtualHost;
    fixture.virtualHost.publish = (message) => {
      order.push('publish');
      return publish.call(fixture.virtualHost, message);
    };
    peer.sends('basic.ack', { deliveryTag: 1 });
    peer.publishes('q', 'out', PERSISTENT);
    await eventually(() => order.length === 2);
    expect(order).toEqual(['ack', 'publish']);
  });
});
