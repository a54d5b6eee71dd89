import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { tableOf } from '#amqp-codec';
import { behaviourOf } from '../compat.js';
import { type PeerDialogue, WireFixture } from '../wire.harness.js';

const MINUTE_MS = 60_000;

afterEach(() => {
  jest.useRealTimers();
});

async function passes(minutes: number, peer: PeerDialogue): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    jest.advanceTimersByTime(MINUTE_MS);
    await peer.quiet();
  }
}

/** A client that consumes `q` with one delivery out, while the clock stands still. */
async function aHolder(fixture: WireFixture, args: Record<string, number> = {}): Promise<PeerDialogue> {
  const peer = await fixture.aClient();
  await peer.declares('q');
  peer.publishes('q', 'slow');
  peer.sends('basic.qos', { prefetchCount: 1 });
  await peer.expects('basic.qos-ok');
  peer.sends('basic.consume', { queue: 'q', consumerTag: 'c', arguments: tableOf(args) });
  await peer.expects('basic.consume-ok');
  await peer.expects('basic.deliver');
  return peer;
}

function aFixture(compat: '3.13' | '4.3'): WireFixture {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  return new WireFixture({ behaviour: behaviourOf(compat) });
}

describe('a delivery held too long, as RabbitMQ before 4.3', () => {
  it('closes its channel with 406, and everything unsettled returns', async () => {
    const fixture = aFixture('3.13');
    const peer = await aHolder(fixture);
    const queue = fixture.virtualHost.queue('q');
    queue.consumerTimeoutMs = 2 * MINUTE_MS;
    await passes(2, peer);
    await peer.expectsNothing();
    await passes(1, peer);
    const text =
      /^PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out\. Timeout value used: 120000 ms\. /;
    const { replyText } = await peer.expects('channel.close', { replyCode: 406, classId: 0, methodId: 0 });
    expect(replyText).toMatch(text);
    expect(queue.ready.map(({ redelivered }) => redelivered)).toEqual([true]);
    peer.sends('channel.close-ok');
    await peer.opens();
  });

  it('counts for one fetched with basic.get, and not for one settled in time', async () => {
    const fixture = aFixture('3.13');
    const peer = await fixture.aClient();
    await peer.declares('q');
    fixture.virtualHost.queue('q').consumerTimeoutMs = MINUTE_MS;
    for (let round = 0; round < 3; round++) {
      peer.publishes('q', 'quick');
      peer.sends('basic.get', { queue: 'q' });
      const { deliveryTag } = await peer.expects('basic.get-ok');
      await passes(1, peer);
      peer.sends('basic.ack', { deliveryTag });
      await passes(1, peer);
    }
    peer.publishes('q', 'slow');
    peer.sends('basic.get', { queue: 'q' });
    await peer.expects('basic.get-ok');
    await passes(2, peer);
    await peer.expects('channel.close', { replyCode: 406 });
  });

  it('is none of a queue without a time-out', async () => {
    const peer = await aHolder(aFixture('3.13'));
    await passes(100, peer);
    await peer.expectsNothing();
  });
});

describe('a delivery held too long, as RabbitMQ 4.3', () => {
  it('returns to its queue; the channel lives, and what the client says of it later changes nothing', async () => {
    const fixture = aFixture('4.3');
    const peer = await aHolder(fixture, { 'x-consumer-timeout': MINUTE_MS });
    await passes(2, peer);
    const queue = fixture.virtualHost.queue('q');
    expect(queue.calls).toEqual([['requeue', [1]]]);
    // Its consumer still holds the tag, and with it the whole of its prefetch.
    await peer.expectsNothing();
    peer.sends('basic.ack', { deliveryTag: 1 });
    await peer.expects('basic.deliver', { deliveryTag: 2, redelivered: true });
    expect(queue.calls).toEqual([['requeue', [1]]]);
    peer.sends('basic.ack', { deliveryTag: 2 });
    await peer.quiet();
    expect(queue.calls).toEqual([
      ['requeue', [1]],
      ['ack', [1]],
    ]);
  });
});
