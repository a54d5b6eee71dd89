import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PlainTable } from '#amqp-codec';
import { EngineUnderTest, headersOf, ticks } from './engine.harness.js';

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open();
});
afterEach(() => engine.close());

const toDead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };

describe('time to live', () => {
  it("is the smaller of the queue's and the message's", async () => {
    engine.queue('q', { 'x-message-ttl': 100 });
    engine.publish('', 'q', 'short', { expiration: '10' });
    engine.publish('', 'q', 'long', { expiration: '1000' });
    await engine.clock.advance(10);
    expect(engine.ready('q')).toBe(1);
    await engine.clock.advance(89);
    expect(engine.ready('q')).toBe(1);
    await engine.clock.advance(1);
    expect(engine.ready('q')).toBe(0);
  });

  it('removes from the head only: a short one waits behind a long one', async () => {
    engine.queue('q', toDead);
    engine.queue('dead');
    engine.publish('', 'q', 'long', { expiration: '1000' });
    engine.publish('', 'q', 'short', { expiration: '10' });
    await engine.clock.advance(500);
    expect(engine.ready('q')).toBe(2);
    await engine.clock.advance(500);
    expect(await engine.drain('dead')).toEqual(['long', 'short']);
  });

  it.each(['got', 'dropped by the length limit'])('of a message behind one that was %s goes on', async (how) => {
    engine.queue('q', { ...toDead, 'x-max-length': 2 });
    engine.queue('dead');
    engine.publish('', 'q', 'long');
    engine.publish('', 'q', 'short', { expiration: '10' });
    if (how === 'got') await engine.get('q');
    else engine.publish('', 'q', 'third');
    await ticks();
    await engine.clock.advance(10);
    expect(await engine.drain('dead')).toContain('short');
  });

  it('that is over does not count as left behind a message that is got', async () => {
    engine.queue('q');
    engine.publish('', 'q', 'long');
    engine.publish('', 'q', 'short', { expiration: '10' });
    await engine.clock.advance(10);
    expect(await engine.get('q')).toMatchObject({ messageCount: 0 });
  });

  it('never delivers what has expired', async () => {
    engine.queue('q');
    engine.publish('', 'q', 'old', { expiration: '10' });
    engine.publish('', 'q', 'fresh');
    await engine.clock.advance(10);
    const consumer = engine.consume('q');
    await ticks();
    expect(consumer.bodies).toEqual(['fresh']);
  });

  it('of 0 delivers now or never', async () => {
    engine.queue('q', { 'x-message-ttl': 0 });
    engine.publish('', 'q', '1');
    expect(engine.ready('q')).toBe(0);
    const consumer = engine.consume('q', { room: 1 });
    await ticks();
    engine.publish('', 'q', '2');
    engine.publish('', 'q', '3');
    await ticks();
    expect(consumer.bodies).toEqual(['2']);
    expect(engine.ready('q')).toBe(0);
  });

  it('goes on while a message is out, and is kept by a requeue', async () => {
    engine.queue('q', { 'x-message-ttl': 100 });
    engine.publish('', 'q', '1');
    const out = (await engine.get('q', false))!;
    await engine.clock.advance(100);
    expect(engine.unacked('q')).toBe(1);
    out.queue.requeue([out.sequence]);
    expect(engine.ready('q')).toBe(0);
  });

  it('is remembered over a restart', async () => {
    engine.queue('q', { 'x-message-ttl': 100 });
    engine.publish('', 'q', '1');
    await engine.reopen();
    expect(engine.ready('q')).toBe(1);
    await engine.clock.advance(100);
    expect(engine.ready('q')).toBe(0);
  });

  it('needs one timer for a queue, however many messages', () => {
    engine.queue('q', { 'x-message-ttl': 100 });
    for (let message = 0; message < 100; message++) engine.publish('', 'q', '1');
    expect(engine.clock.timerCount).toBe(1);
  });
});

describe('x-expires', () => {
  it('deletes a queue that nobody used for that long', async () => {
    engine.queue('q', { 'x-expires': 100 });
    await engine.clock.advance(60);
    engine.publish('', 'q', 'a publish is no use');
    engine.queue('q', { 'x-expires': 100 });
    await engine.clock.advance(60);
    await engine.get('q');
    await engine.clock.advance(99);
    expect(engine.engine.stats().queues).toHaveLength(1);
    await engine.clock.advance(1);
    expect(engine.engine.stats().queues).toHaveLength(0);
  });

  it('waits while there is a consumer', async () => {
    engine.queue('q', { 'x-expires': 100 });
    const consumer = engine.consume('q');
    await engine.clock.advance(1050);
    engine.host.cancel('q', consumer);
    await engine.clock.advance(99);
    expect(engine.engine.stats().queues).toHaveLength(1);
    await engine.clock.advance(1);
    expect(engine.engine.stats().queues).toHaveLength(0);
  });
});

describe('length limits', () => {
  it('drop from the head', async () => {
    engine.queue('q', { 'x-max-length': 2, ...toDead });
    engine.queue('dead');
    for (const body of ['1', '2', '3', '4']) engine.publish('', 'q', body);
    await ticks();
    expect(await engine.drain('q')).toEqual(['3', '4']);
    expect(await engine.drain('dead')).toEqual(['1', '2']);
  });

  it('count body bytes of ready messages', async () => {
    engine.queue('q', { 'x-max-length-bytes': 10 });
    for (const body of ['aaaa', 'bbbb', 'cccc']) engine.publish('', 'q', body);
    await ticks();
    expect(await engine.drain('q')).toEqual(['bbbb', 'cccc']);
    engine.publish('', 'q', 'longer than the limit');
    await ticks();
    expect(engine.ready('q')).toBe(0);
  });

  it('do not count what a consumer has, nor what it can take now', async () => {
    engine.queue('q', { 'x-max-length': 1 });
    const consumer = engine.consume('q', { room: 3 });
    await ticks();
    for (const body of ['1', '2', '3', '4', '5']) engine.publish('', 'q', body);
    await ticks();
    expect(consumer.bodies).toEqual(['1', '2', '3']);
    expect(await engine.drain('q')).toEqual(['5']);
  });

  it('hold for requeued messages too', async () => {
    engine.queue('q', { 'x-max-length': 1 });
    engine.publish('', 'q', '1');
    const out = (await engine.get('q', false))!;
    engine.publish('', 'q', '2');
    out.queue.requeue([out.sequence]);
    await ticks();
    expect(await engine.drain('q')).toEqual(['2']);
  });

  it('with reject-publish turn the newcomer away', async () => {
    engine.queue('q', { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
    engine.exchange('x', 'fanout');
    engine.queue('open');
    engine.bind('x', 'q');
    engine.bind('x', 'open');
    expect(engine.publish('x', '', '1')).toBe('routed');
    expect(engine.publish('x', '', '2')).toBe('rejected');
    expect(await engine.drain('q')).toEqual(['1']);
    expect(await engine.drain('open')).toEqual(['1', '2']);
  });

  it('with reject-publish-dlx also dead-letter it', async () => {
    engine.queue('q', { 'x-max-length': 1, 'x-overflow': 'reject-publish-dlx', ...toDead });
    engine.queue('dead');
    engine.publish('', 'q', '1');
    expect(engine.publish('', 'q', '2')).toBe('rejected');
    expect(await engine.drain('dead')).toEqual(['2']);
    expect(await engine.drain('q')).toEqual(['1']);
  });

  it('hold after a restart, by body bytes as before', async () => {
    engine.queue('q', { 'x-max-length-bytes': 8 });
    for (const body of ['aaaa', 'bbbb']) engine.publish('', 'q', body);
    await engine.reopen();
    expect(engine.ready('q')).toBe(2);
    engine.publish('', 'q', 'cccc');
    await ticks();
    expect(await engine.drain('q')).toEqual(['bbbb', 'cccc']);
  });
});

describe('dead-lettering', () => {
  async function letterFor(queueArguments: PlainTable, die: (engine: EngineUnderTest) => Promise<void>) {
    engine.queue('q', queueArguments);
    engine.queue('dead');
    await die(engine);
    await ticks();
    return (await engine.get('dead'))!.message;
  }
  const reject = async () => {
    const out = (await engine.get('q', false))!;
    out.queue.reject([out.sequence]);
  };

  it('records where and why', async () => {
    const seconds = Math.floor(engine.clock.now() / 1000);
    const message = await letterFor(toDead, async () => {
      engine.publish('amq.direct', 'k', 'unroutable');
      engine.publish('', 'q', 'b', { plainHeaders: { mine: 1, CC: ['cc'], BCC: ['bcc'] }, priority: 3 });
      await reject();
    });
    expect(message).toMatchObject({ exchange: '', routingKey: 'dead', body: Buffer.from('b') });
    expect(headersOf(message)).toEqual({
      mine: 1,
      'x-death': [
        { count: 1, reason: 'rejected', queue: 'q', time: seconds, exchange: '', 'routing-keys': ['q', 'cc'] },
      ],
      'x-first-death-exchange': '',
      'x-first-death-queue': 'q',
      'x-first-death-reason': 'rejected',
      'x-last-death-exchange': '',
      'x-last-death-queue': 'q',
      'x-last-death-reason': 'rejected',
    });
  });

  it('takes the expiration away and keeps it in the record', async () => {
    const message = await letterFor(toDead, async () => {
      engine.publish('', 'q', '1', { expiration: '10' });
      await engine.clock.advance(10);
    });
    expect(headersOf(message)['x-death']).toMatchObject([{ reason: 'expired', 'original-expiration': '10' }]);
    await engine.clock.advance(1000);
  });

  it('without a key of its own keeps all keys, the blind ones too', async () => {
    engine.exchange('dlx', 'direct');
    engine.queue('q', { 'x-dead-letter-exchange': 'dlx' });
    for (const name of ['k1', 'k2', 'k3']) {
      engine.queue(name);
      engine.bind('dlx', name, name);
    }
    engine.bind('amq.direct', 'q', 'k1');
    engine.publish('amq.direct', 'k1', '1', { plainHeaders: { CC: ['k2'], BCC: ['k3'] } });
    await reject();
    await ticks();
    for (const name of ['k1', 'k2', 'k3']) expect(engine.ready(name)).toBe(1);
    const { message } = (await engine.get('k3'))!;
    expect(message.routingKey).toBe('k1');
    expect(headersOf(message)).toMatchObject({ CC: ['k2'] });
  });

  it('counts a repeated death and moves it to the front', async () => {
    engine.queue('work', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'wait' });
    engine.queue('wait', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'work', 'x-message-ttl': 50 });
    engine.publish('', 'work', '1');
    for (let round = 1; round <= 3; round++) {
      const out = (await engine.get('work', false))!;
      out.queue.reject([out.sequence]);
      await ticks();
      await engine.clock.advance(50);
    }
    const { message } = (await engine.get('work'))!;
    expect(headersOf(message)).toMatchObject({
      'x-death': [
        { queue: 'wait', reason: 'expired', count: 3 },
        { queue: 'work', reason: 'rejected', count: 3 },
      ],
      'x-first-death-queue': 'work',
      'x-last-death-queue': 'wait',
    });
  });

  it('ends a circle in which nobody rejects', async () => {
    engine.queue('a', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'b', 'x-message-ttl': 10 });
    engine.queue('b', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'a', 'x-message-ttl': 10 });
    engine.publish('', 'a', '1');
    await engine.clock.advance(10);
    expect([engine.ready('a'), engine.ready('b')]).toEqual([0, 1]);
    await engine.clock.advance(10);
    expect([engine.ready('a'), engine.ready('b')]).toEqual([0, 0]);
  });

  it('drops the message when the exchange is missing or knows no queue', async () => {
    engine.queue('q', { 'x-dead-letter-exchange': 'missing' });
    engine.queue('r', { 'x-dead-letter-exchange': 'amq.direct' });
    for (const name of ['q', 'r']) {
      engine.publish('', name, '1');
      const out = (await engine.get(name, false))!;
      out.queue.reject([out.sequence]);
    }
    await ticks();
    await engine.reopen();
    expect([engine.ready('q'), engine.ready('r')]).toEqual([0, 0]);
  });

  it('just drops a rejected message where there is no dead-letter exchange', async () => {
    engine.queue('q');
    engine.publish('', 'q', '1');
    await reject();
    await engine.reopen();
    expect(engine.ready('q')).toBe(0);
  });

  it('survives a restart in the middle: the message is in one of the two queues', async () => {
    engine.queue('q', toDead);
    engine.queue('dead');
    engine.publish('', 'q', '1');
    await reject();
    await engine.reopen();
    expect(engine.ready('q') + engine.ready('dead')).toBe(1);
  });

  it('moves a large expired backlog completely and in order', async () => {
    engine.queue('q', { ...toDead, 'x-message-ttl': 100 });
    engine.queue('dead');
    for (let message = 0; message < 2500; message++) engine.publish('', 'q', String(message));
    await engine.clock.advance(100);
    while (engine.ready('dead') < 2500) await ticks();
    expect(await engine.drain('dead')).toEqual(Array.from({ length: 2500 }, (_, message) => String(message)));
    expect(engine.ready('q')).toBe(0);
  });
});

describe('dead-lettering at least once', () => {
  const atLeastOnce = {
    'x-queue-type': 'quorum',
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
    ...toDead,
  };
  const reject = async () => {
    const out = (await engine.get('q', false))!;
    out.queue.reject([out.sequence]);
    await ticks();
  };

  it('keeps the message until its target exists', async () => {
    engine.queue('q', atLeastOnce);
    engine.publish('', 'q', '1');
    await reject();
    await engine.clock.advance(5000);
    expect([engine.ready('q'), engine.unacked('q')]).toEqual([0, 0]);

    engine.queue('dead');
    await engine.clock.advance(1000);
    expect(await engine.drain('dead')).toEqual(['1']);
  });

  it('keeps the message while its target is full', async () => {
    engine.queue('q', atLeastOnce);
    engine.queue('dead', { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
    for (const body of ['1', '2']) engine.publish('', 'q', body);
    await reject();
    await reject();
    expect(engine.ready('dead')).toBe(1);
    expect(await engine.drain('dead')).toEqual(['1']);
    await engine.clock.advance(1000);
    expect(await engine.drain('dead')).toEqual(['2']);
  });

  it('has it ready again after a restart', async () => {
    engine.queue('q', atLeastOnce);
    engine.publish('', 'q', '1');
    await reject();
    await engine.reopen();
    expect(await engine.drain('q')).toEqual(['1']);
  });
});

describe('a delivery limit', () => {
  it('dead-letters what failed once more than allowed', async () => {
    engine.queue('q', { 'x-queue-type': 'quorum', 'x-delivery-limit': 2, ...toDead });
    engine.queue('dead');
    engine.publish('', 'q', '1');
    for (const failures of [0, 1, 2]) {
      const out = (await engine.get('q', false))!;
      expect(out.failures).toBe(failures);
      out.queue.requeue([out.sequence]);
    }
    await ticks();
    expect(engine.ready('q')).toBe(0);
    const { message } = (await engine.get('dead'))!;
    expect(headersOf(message)['x-death']).toMatchObject([{ reason: 'delivery_limit' }]);
  });

  it('of -1 is none', async () => {
    engine.queue('q', { 'x-queue-type': 'quorum', 'x-delivery-limit': -1 });
    engine.publish('', 'q', '1');
    for (let failures = 0; failures < 30; failures++) {
      const out = (await engine.get('q', false))!;
      out.queue.requeue([out.sequence]);
    }
    expect(engine.ready('q')).toBe(1);
  });
});
