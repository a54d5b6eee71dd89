import { describe, expect, it } from '@jest/globals';
import { findField, peekProperty } from '#amqp-codec';
import { eventually, type PeerDialogue, WireFixture } from '../wire.harness.js';

async function aConsumer(options: { prefetch?: number; global?: number; count?: number } = {}) {
  const fixture = new WireFixture();
  const peer = await fixture.aClient();
  await peer.declares('q');
  const { prefetch = 0, global = 0, count = 0 } = options;
  if (prefetch > 0) await qos(peer, prefetch, false);
  if (global > 0) await qos(peer, global, true);
  for (let number = 1; number <= count; number++) peer.publishes('q', String(number));
  peer.sends('basic.consume', { queue: 'q', consumerTag: 'c' });
  await peer.expects('basic.consume-ok', { consumerTag: 'c' });
  return { fixture, peer, queue: fixture.virtualHost.queue('q') };
}

async function qos(peer: PeerDialogue, prefetchCount: number, global: boolean): Promise<void> {
  peer.sends('basic.qos', { prefetchCount, global });
  await peer.expects('basic.qos-ok');
}

describe('consuming', () => {
  it('numbers deliveries from 1, shared with get', async () => {
    const { peer } = await aConsumer({ count: 1 });
    await peer.expects('basic.deliver', { consumerTag: 'c', deliveryTag: 1 });
    peer.sends('basic.get', { queue: 'q' });
    await peer.expects('basic.get-empty');
    peer.sends('basic.cancel', { consumerTag: 'c' });
    await peer.expects('basic.cancel-ok', { consumerTag: 'c' });
    peer.publishes('q', 'x');
    peer.sends('basic.get', { queue: 'q' });
    await peer.expects('basic.get-ok', { deliveryTag: 2, messageCount: 0 });
  });

  it('makes a tag for who gives none, refuses one in use with 530, and cancels unknown ones gladly', async () => {
    const { peer } = await aConsumer();
    peer.sends('basic.consume', { queue: 'q' });
    const { consumerTag } = await peer.expects('basic.consume-ok');
    expect(consumerTag).toMatch(/^amq\.ctag-/);
    peer.sends('basic.cancel', { consumerTag: 'nobody' });
    await peer.expects('basic.cancel-ok', { consumerTag: 'nobody' });
    peer.sends('basic.consume', { queue: 'q', consumerTag: 'c' });
    await peer.expects('connection.close', { replyCode: 530 });
  });

  it('leaves unsettled deliveries alone when the consumer is cancelled', async () => {
    const { peer, queue } = await aConsumer({ count: 1 });
    await peer.expects('basic.deliver');
    peer.sends('basic.cancel', { consumerTag: 'c' });
    await peer.expects('basic.cancel-ok');
    expect(queue.calls).toEqual([]);
    peer.sends('basic.ack', { deliveryTag: 1 });
    await eventually(() => queue.calls.length === 1);
    expect(queue.calls).toEqual([['ack', [1]]]);
  });

  it('is told when its queue is deleted', async () => {
    const { peer } = await aConsumer();
    peer.sends('queue.delete', { queue: 'q' });
    await peer.expects('basic.cancel', { consumerTag: 'c', nowait: true });
    await peer.expects('queue.delete-ok');
  });

  it('carries x-delivery-count when a delivery failed before', async () => {
    const { peer, queue } = await aConsumer({ count: 1 });
    queue.failures = 2;
    await peer.expects('basic.deliver', { redelivered: false });
    peer.sends('basic.nack', { deliveryTag: 1, requeue: true });
    const { content } = await peer.expects('basic.deliver', { redelivered: true });
    const headers = peekProperty(content.properties, 'headers')!;
    expect(findField(headers, 'x-delivery-count')).toEqual({ tag: 'l', value: 2n });
  });
});

describe('prefetch', () => {
  it('of each consumer stops deliveries until one is settled', async () => {
    const { peer } = await aConsumer({ prefetch: 2, count: 4 });
    await peer.expects('basic.deliver', { deliveryTag: 1 });
    await peer.expects('basic.deliver', { deliveryTag: 2 });
    await peer.expectsNothing();
    peer.sends('basic.ack', { deliveryTag: 2 });
    await peer.expects('basic.deliver', { deliveryTag: 3 });
    await peer.expectsNothing();
    peer.sends('basic.reject', { deliveryTag: 1 });
    await peer.expects('basic.deliver', { deliveryTag: 4 });
  });

  it('set later does not touch a running consumer; the shared one does at once', async () => {
    const { peer } = await aConsumer({ count: 0 });
    await qos(peer, 1, false);
    for (const body of ['1', '2']) peer.publishes('q', body);
    await peer.expects('basic.deliver');
    await peer.expects('basic.deliver');
    await qos(peer, 2, true);
    peer.publishes('q', '3');
    await peer.expectsNothing();
    await qos(peer, 3, true);
    await peer.expects('basic.deliver', { deliveryTag: 3 });
  });

  it('of the channel ends with one for consumers to come', async () => {
    const { peer } = await aConsumer({ count: 0 });
    await qos(peer, 1, true);
    for (const body of ['1', '2']) peer.publishes('q', body);
    await peer.expects('basic.deliver', { deliveryTag: 1 });
    await peer.expectsNothing();
    await qos(peer, 5, false);
    await peer.expects('basic.deliver', { deliveryTag: 2 });
  });

  it('in bytes is not implemented', async () => {
    const { peer } = await aConsumer();
    peer.sends('basic.qos', { prefetchSize: 1 });
    await peer.expects('connection.close', { replyCode: 540 });
  });
});

describe('settling', () => {
  it('gathers acknowledgements of one read into one call per queue', async () => {
    const { peer, queue } = await aConsumer({ count: 5 });
    for (let count = 0; count < 5; count++) await peer.expects('basic.deliver');
    peer.sends('basic.ack', { deliveryTag: 3, multiple: true });
    await eventually(() => queue.calls.length > 0);
    expect(queue.calls).toEqual([['ack', [1, 2, 3]]]);
    peer.sends('basic.ack', { deliveryTag: 0, multiple: true });
    await eventually(() => queue.calls.length > 1);
    expect(queue.calls[1]).toEqual(['ack', [4, 5]]);
    peer.sends('basic.ack', { deliveryTag: 0, multiple: true });
    peer.sends('basic.qos');
    await peer.expects('basic.qos-ok');
  });

  it.each([
    ['ack', 'basic.ack', { deliveryTag: 7 }],
    ['ack of tag 0', 'basic.ack', { deliveryTag: 0 }],
    ['multiple ack', 'basic.ack', { deliveryTag: 7, multiple: true }],
    ['nack', 'basic.nack', { deliveryTag: 7, multiple: true, requeue: true }],
    ['reject', 'basic.reject', { deliveryTag: 7 }],
  ] as const)('%s of an unknown tag is 406', async (_name, method, args) => {
    const { peer, queue } = await aConsumer({ count: 1 });
    await peer.expects('basic.deliver');
    peer.sends(method, args);
    const replyText = `PRECONDITION_FAILED - unknown delivery tag ${args.deliveryTag}`;
    await peer.expects('channel.close', { replyCode: 406, replyText });
    expect(queue.calls).toEqual([['requeue', [1]]]);
  });

  it('twice is 406', async () => {
    const { peer } = await aConsumer({ count: 2 });
    await peer.expects('basic.deliver');
    await peer.expects('basic.deliver');
    peer.sends('basic.ack', { deliveryTag: 2 });
    peer.sends('basic.ack', { deliveryTag: 2 });
    await peer.expects('channel.close', { replyCode: 406 });
  });

  it('by nack and reject requeues or dead-letters', async () => {
    const { peer, queue } = await aConsumer({ count: 4 });
    for (let count = 0; count < 4; count++) await peer.expects('basic.deliver');
    peer.sends('basic.nack', { deliveryTag: 2, multiple: true, requeue: false });
    peer.sends('basic.reject', { deliveryTag: 4, requeue: true });
    await peer.expects('basic.deliver', { deliveryTag: 5, redelivered: true });
    expect(queue.calls).toEqual([
      ['reject', [1, 2]],
      ['requeue', [4]],
    ]);
  });

  it('recover requeues everything; without requeue it is not implemented', async () => {
    const { peer } = await aConsumer({ count: 2 });
    await peer.expects('basic.deliver');
    await peer.expects('basic.deliver');
    peer.sends('basic.recover', { requeue: true });
    await peer.expects('basic.recover-ok');
    await peer.expects('basic.deliver', { deliveryTag: 3, redelivered: true });
    await peer.expects('basic.deliver', { deliveryTag: 4, redelivered: true });
    peer.sends('basic.recover-async', { requeue: true });
    await peer.expects('basic.deliver', { deliveryTag: 5 });
    await peer.expects('basic.deliver', { deliveryTag: 6 });
    peer.sends('basic.recover', { requeue: false });
    await peer.expects('connection.close', { replyCode: 540 });
  });
});
