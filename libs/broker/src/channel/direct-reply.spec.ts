import { describe, expect, it } from '@jest/globals';
import { peekProperty } from '#amqp-codec';
import { WireFixture } from '../wire.harness.js';

const REPLY_TO = 'amq.rabbitmq.reply-to';

async function aRequester() {
  const fixture = new WireFixture();
  const requester = await fixture.aClient();
  await requester.declares('work');
  requester.sends('basic.consume', { queue: REPLY_TO, consumerTag: 'r', noAck: true });
  await requester.expects('basic.consume-ok');
  requester.publishes('work', 'ping', { replyTo: REPLY_TO, correlationId: '1' });
  const responder = await fixture.aClient();
  responder.sends('basic.consume', { queue: 'work', consumerTag: 'c', noAck: true });
  await responder.expects('basic.consume-ok');
  const { content } = await responder.expects('basic.deliver');
  const address = peekProperty(content.properties, 'replyTo')!;
  return { fixture, requester, responder, address };
}

describe('direct reply-to', () => {
  it('takes an answer straight to the channel that asked', async () => {
    const { requester, responder, address } = await aRequester();
    expect(address).toMatch(/^amq\.rabbitmq\.reply-to\../);
    responder.publishes(address, 'pong', { correlationId: '1' });
    const { content } = await requester.expects('basic.deliver', {
      consumerTag: 'r',
      exchange: '',
      routingKey: address,
    });
    expect(content.body.toString()).toBe('pong');
  });

  it('says by queue.declare whether the requester is still there, and returns a mandatory answer when not', async () => {
    const { requester, responder, address } = await aRequester();
    responder.sends('queue.declare', { queue: address, passive: true });
    await responder.expects('queue.declare-ok', { messageCount: 0, consumerCount: 1 });
    requester.sends('channel.close');
    await requester.expects('channel.close-ok');
    responder.publishes(address, 'pong', {}, { mandatory: true });
    await responder.expects('basic.return', { replyCode: 312 });
    responder.sends('queue.declare', { queue: address });
    await responder.expects('channel.close', { replyCode: 404 });
  });

  it.each([
    ['a consumer that would acknowledge', false, 'reply consumer cannot acknowledge'],
    ['a second consumer', true, 'reply consumer already set'],
  ])('refuses %s', async (_name, noAck, text) => {
    const { requester } = await aRequester();
    requester.sends('basic.consume', { queue: REPLY_TO, noAck });
    await requester.expects('channel.close', { replyCode: 406, replyText: `PRECONDITION_FAILED - ${text}` });
  });

  it('refuses a request from a channel that consumes no replies', async () => {
    const peer = await new WireFixture().aClient();
    peer.publishes('work', 'ping', { replyTo: REPLY_TO });
    const replyText = 'PRECONDITION_FAILED - fast reply consumer does not exist';
    await peer.expects('channel.close', { replyCode: 406, replyText });
  });
});
