import { describe, expect, it } from '@jest/globals';
import { ChannelError } from '../errors.js';
import { Message } from '../message.js';
import { eventually, WireFixture } from '../wire.harness.js';
import { TRANSACTION_BYTES_MAX, Transaction } from './transaction.js';

const PERSISTENT = { deliveryMode: 2 };

async function aTransactionalClient() {
  const fixture = new WireFixture();
  const peer = await fixture.aClient();
  await peer.declares('q');
  peer.sends('tx.select');
  await peer.expects('tx.select-ok');
  return { fixture, peer, queue: fixture.virtualHost.queue('q') };
}

describe('transactions', () => {
  it('publish at commit; commit-ok waits for the log and returns come before it', async () => {
    const { fixture, peer, queue } = await aTransactionalClient();
    peer.publishes('q', 'one', PERSISTENT);
    peer.publishes('nobody', 'two', {}, { mandatory: true });
    await peer.expectsNothing();
    expect(queue.ready).toHaveLength(0);
    peer.sends('tx.commit');
    await peer.expects('basic.return', { routingKey: 'nobody' });
    await peer.expectsNothing();
    expect(queue.ready).toHaveLength(1);
    fixture.durability.sync();
    await peer.expects('tx.commit-ok');
    peer.sends('tx.commit');
    await peer.expects('tx.commit-ok');
    expect(queue.ready).toHaveLength(1);
  });

  it('rolled back publish nothing, and leave deliveries unsettled to be settled again', async () => {
    const { peer, queue } = await aTransactionalClient();
    peer.publishes('q', 'one');
    peer.sends('tx.commit');
    await peer.expects('tx.commit-ok');
    peer.sends('basic.get', { queue: 'q' });
    await peer.expects('basic.get-ok');
    peer.sends('basic.ack', { deliveryTag: 1 });
    peer.publishes('q', 'two');
    peer.sends('tx.rollback');
    await peer.expects('tx.rollback-ok');
    expect([queue.calls, queue.ready.length]).toEqual([[], 0]);
    peer.sends('basic.nack', { deliveryTag: 1, requeue: true });
    peer.sends('tx.commit');
    await peer.expects('tx.commit-ok');
    expect(queue.calls).toEqual([['requeue', [1]]]);
  });

  it('have a bound that messages without a body meet too', () => {
    const transaction = new Transaction();
    const publish = () => transaction.addPublish(new Message('', 'q', Buffer.of(0, 0), Buffer.alloc(0)), false);
    expect(() => {
      for (let count = 0; count < TRANSACTION_BYTES_MAX / 256; count++) publish();
    }).toThrow('commit more often');
    transaction.clear();
    expect(publish).not.toThrow();
  });

  it('know at once that a tag was settled in them', async () => {
    const { peer } = await aTransactionalClient();
    peer.sends('basic.ack', { deliveryTag: 1 });
    await peer.expects('channel.close', { replyCode: 406 });
  });

  it('return what they had acknowledged when the channel closes uncommitted', async () => {
    const { peer, queue } = await aTransactionalClient();
    peer.publishes('q', 'one');
    peer.sends('tx.commit');
    await peer.expects('tx.commit-ok');
    peer.sends('basic.get', { queue: 'q' });
    await peer.expects('basic.get-ok');
    peer.sends('basic.ack', { deliveryTag: 1 });
    peer.sends('channel.close');
    await peer.expects('channel.close-ok');
    expect(queue.calls).toEqual([['requeue', [1]]]);
  });

  it('refused by a queue at commit close the channel', async () => {
    const { peer, queue } = await aTransactionalClient();
    queue.rejectsPublishes = true;
    peer.publishes('q', 'one');
    peer.sends('tx.commit');
    await peer.expects('channel.close', { replyCode: 406, replyText: 'PRECONDITION_FAILED - partial tx completion' });
  });

  it('know at once what is wrong with a message', async () => {
    const { fixture, peer } = await aTransactionalClient();
    fixture.virtualHost.checkPublish = () => {
      throw new ChannelError('access-refused', 'cannot publish to internal exchange');
    };
    peer.publishes('q', 'x');
    await peer.expects('channel.close', { replyCode: 403, classId: 60, methodId: 40 });
  });

  it('know at once that an exchange is missing', async () => {
    const { peer } = await aTransactionalClient();
    peer.publishes('k', 'x', {}, { exchange: 'nope' });
    await peer.expects('channel.close', { replyCode: 404, classId: 60, methodId: 40 });
  });

  it('take no other method between commit and commit-ok', async () => {
    const { fixture, peer } = await aTransactionalClient();
    peer.publishes('q', 'one', PERSISTENT);
    peer.sends('tx.commit');
    peer.sends('basic.qos');
    await peer.expects('connection.close', { replyCode: 504 });
    await eventually(() => fixture.virtualHost.released.length === 1);
  });

  it('do not mix with confirms, and need a select', async () => {
    const { peer } = await aTransactionalClient();
    peer.sends('confirm.select');
    await peer.expects('channel.close', { replyCode: 406 });
    await peer.opens(2);
    peer.sends('tx.commit');
    await peer.expects('channel.close', {
      replyCode: 406,
      replyText: 'PRECONDITION_FAILED - channel is not transactional',
    });
    await peer.opens(3);
    peer.sends('confirm.select');
    await peer.expects('confirm.select-ok');
    peer.sends('tx.select');
    await peer.expects('channel.close', { replyCode: 406 });
  });
});
