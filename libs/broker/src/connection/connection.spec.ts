import { afterEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import {
  contentFramesBytes,
  encodeMethod,
  HEARTBEAT_FRAME,
  METHODS,
  type MethodName,
  shapeOf,
  tableOf,
  writeContent,
  writeFrameHead,
} from '#amqp-codec';
import { eventually, WireFixture } from '../wire.harness.js';
import { UNSYNCED_BYTES_HARD_MAX, UNSYNCED_BYTES_MAX } from './flow-control.js';

const FAKED = {
  doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] as ('setImmediate' | 'nextTick' | 'queueMicrotask')[],
};

afterEach(() => {
  jest.useRealTimers();
});

describe('closing a connection', () => {
  it('deletes exclusive queues before close-ok', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    peer.sends('queue.declare', { queue: 'mine', exclusive: true });
    await peer.expects('queue.declare-ok');
    peer.sends('connection.close', { replyCode: 200 });
    await peer.expects('connection.close-ok');
    expect(fixture.virtualHost.queues.size).toBe(0);
    await peer.expectsEnd();
    expect(fixture.virtualHost.released).toHaveLength(1);
    expect(fixture.broker.stats().connectionCount).toBe(0);
  });

  it('releases everything when the socket just goes', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    peer.publishes('q', 'one');
    peer.sends('basic.consume', { queue: 'q', consumerTag: 'c' });
    await peer.expects('basic.consume-ok');
    await peer.expects('basic.deliver');
    peer.cut();
    await eventually(() => fixture.virtualHost.released.length === 1);
    expect(fixture.virtualHost.queue('q').ready.map(({ redelivered }) => redelivered)).toEqual([true]);
    expect(fixture.virtualHost.queue('q').consumers).toHaveLength(0);
  });

  it('from our side at a shutdown says so, answers a crossing close and waits for close-ok', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    const closed = fixture.broker.close();
    const replyText = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
    await peer.expects('connection.close', { replyCode: 320, replyText, classId: 0, methodId: 0 });
    peer.sends('queue.declare', { queue: 'late' });
    peer.sends('connection.close', { replyCode: 200 });
    await peer.expects('connection.close-ok');
    peer.sends('connection.close-ok');
    await closed;
    expect(fixture.virtualHost.queues.size).toBe(0);
  });
});

describe('broken streams', () => {
  const broken: [string, Buffer, number][] = [
    ['a frame without its end', Buffer.from('010001000000040014000a00', 'hex'), 501],
    ['a frame too large', Buffer.from('0300010fffffff', 'hex'), 501],
    ['an unknown frame type', Buffer.from('04000100000000ce', 'hex'), 501],
    ['a heartbeat with a payload', Buffer.from('0800000000000100ce', 'hex'), 501],
    ['a heartbeat on a channel', Buffer.from('08000100000000ce', 'hex'), 505],
    ['content on channel 0', Buffer.from('03000000000000ce', 'hex'), 505],
    ['an unknown method', Buffer.from('01000100000004003c00ffce', 'hex'), 503],
    ['a method cut short', Buffer.from('0100010000000400' + '32000ace', 'hex'), 501],
    [
      'a header with a weight',
      Buffer.from('01000100000009003c00280000000000ce' + '0200010000000e003c000100000000000000010000ce', 'hex'),
      505,
    ],
    ['a body without a publish', Buffer.from('0300010000000161ce', 'hex'), 505],
  ];

  it.each(broken)('%s', async (_name, bytes, replyCode) => {
    const peer = await new WireFixture().aClient();
    peer.write(bytes);
    await peer.expects('connection.close', { replyCode });
    peer.cut();
  });

  it('end a second later when the frames are lost, whatever the client does', async () => {
    const peer = await new WireFixture().aClient();
    jest.useFakeTimers(FAKED);
    peer.write(Buffer.from('08000000000000ff', 'hex'));
    await peer.expects('connection.close', { replyCode: 501 });
    await peer.expectsNothing();
    jest.advanceTimersByTime(1000);
    await peer.expectsEnd();
  });
});

describe('heartbeats', () => {
  it('go out after half an interval without other frames', async () => {
    const peer = new WireFixture().connects();
    jest.useFakeTimers(FAKED);
    await peer.handshakes({ heartbeat: 10 });
    jest.advanceTimersByTime(5000);
    await peer.expectsNothing();
    const before = peer.heartbeats;
    jest.advanceTimersByTime(5000);
    await eventually(() => peer.heartbeats > before);
  });

  it('keep the connection while any byte comes, and end it after two silent intervals', async () => {
    const peer = new WireFixture().connects();
    jest.useFakeTimers(FAKED);
    await peer.handshakes({ heartbeat: 10 });
    for (let interval = 0; interval < 5; interval++) {
      peer.write(HEARTBEAT_FRAME);
      await peer.expectsNothing();
      jest.advanceTimersByTime(10_000);
    }
    await peer.expectsNothing();
    expect(peer.isClosed).toBe(false);
    jest.advanceTimersByTime(20_000);
    await peer.expectsEnd();
  });
});

describe('flow control', () => {
  it('stops reading a publisher while too much waits for the log, and goes on below half', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    fixture.durability.unsyncedBytes = UNSYNCED_BYTES_MAX + 1;
    peer.publishes('q', 'one');
    await eventually(() => fixture.broker.stats().connections[0]!.state === 'flow');
    peer.sends('queue.declare', { queue: 'later' });
    await peer.expectsNothing();

    fixture.durability.unsyncedBytes = UNSYNCED_BYTES_MAX / 2 + 1;
    fixture.durability.sync();
    await peer.expectsNothing();
    fixture.durability.unsyncedBytes = UNSYNCED_BYTES_MAX / 2;
    fixture.durability.sync();
    await peer.expects('queue.declare-ok');
  });

  it('tells a publisher of an alarm that comes while it waits for the log', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    fixture.durability.unsyncedBytes = UNSYNCED_BYTES_MAX + 1;
    peer.publishes('q', 'one');
    await eventually(() => fixture.broker.stats().connections[0]!.state === 'flow');
    fixture.broker.raiseAlarm('low on disk');
    await peer.expects('connection.blocked', { reason: 'low on disk' });
    fixture.durability.unsyncedBytes = 0;
    fixture.durability.sync();
    fixture.broker.clearAlarm();
    await peer.expects('connection.unblocked');
  });

  it('stops reading whoever it is while twice as much waits for the log', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    fixture.durability.unsyncedBytes = UNSYNCED_BYTES_HARD_MAX + 1;
    peer.sends('queue.declare', { queue: 'last' });
    await peer.expects('queue.declare-ok');
    await eventually(() => fixture.broker.stats().connections[0]!.state === 'flow');
    peer.sends('queue.declare', { queue: 'later' });
    await peer.expectsNothing();
    fixture.durability.unsyncedBytes = 0;
    fixture.durability.sync();
    await peer.expects('queue.declare-ok');
  });

  it('under an alarm blocks a connection at its next publish, tells it, and tells it when the alarm is over', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    fixture.broker.raiseAlarm('low on disk');
    peer.sends('queue.declare', { queue: 'q', passive: true });
    await peer.expects('queue.declare-ok');
    peer.publishes('q', 'one');
    await peer.expects('connection.blocked', { reason: 'low on disk' });
    peer.sends('queue.declare', { queue: 'q', passive: true });
    await peer.expectsNothing();
    fixture.broker.clearAlarm();
    await peer.expects('connection.unblocked');
    await peer.expects('queue.declare-ok');
  });

  it('tells a connection that came during an alarm only when it publishes, and lets consumers go on', async () => {
    const fixture = new WireFixture();
    fixture.broker.raiseAlarm('low on memory');
    const [publisher, consumer] = [await fixture.aClient(), await fixture.aClient()];
    await consumer.declares('q');
    consumer.sends('basic.consume', { queue: 'q', consumerTag: 'c' });
    await consumer.expects('basic.consume-ok');
    publisher.publishes('q', 'one');
    await publisher.expects('connection.blocked', { reason: 'low on memory' });
    const { deliveryTag } = await consumer.expects('basic.deliver');
    consumer.sends('basic.ack', { deliveryTag });
    await consumer.expectsNothing();
    expect(fixture.virtualHost.queue('q').calls).toEqual([['ack', [1]]]);
  });

  it('under an alarm does not take the silence of a blocked client for its death', async () => {
    const fixture = new WireFixture();
    const peer = fixture.connects();
    jest.useFakeTimers(FAKED);
    await peer.handshakes({ heartbeat: 10 });
    await peer.opens();
    await peer.declares('q');
    fixture.broker.raiseAlarm('low on memory');
    peer.publishes('q', 'one');
    await peer.expects('connection.blocked');
    for (let interval = 0; interval < 10; interval++) {
      jest.advanceTimersByTime(10_000);
      await peer.quiet();
    }
    expect(peer.isClosed).toBe(false);
    fixture.broker.clearAlarm();
    await peer.expects('connection.unblocked');
    jest.advanceTimersByTime(30_000);
    await peer.expectsEnd();
  });

  it('stops deliveries to a client that does not read, and goes on when it does', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    peer.sends('basic.consume', { queue: 'q', consumerTag: 'c', noAck: true });
    await peer.expects('basic.consume-ok');
    peer.pause();
    const publisher = await fixture.aClient();
    const body = Buffer.alloc(100_000);
    for (let count = 0; count < 30; count++) publisher.publishes('q', body);
    await eventually(() => fixture.broker.stats().counters.published === 30);
    await publisher.expectsNothing();
    const delivered = fixture.broker.stats().counters.deliveredNoAck;
    expect(delivered).toBeLessThan(10);
    peer.resume();
    for (let count = 0; count < 30; count++) await peer.expects('basic.deliver');
  });
});

describe('a publisher that has overtaken quick consumers', () => {
  it('is read again when they have settled as much', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    const published = () => fixture.broker.stats().counters.published;
    // So much that the wait for time alone would be the longest there is.
    for (let count = 0; count < 1e6; count++) fixture.consumerBias.overtook();
    peer.publishes('q', 'first');
    await eventually(() => published() === 1);
    peer.publishes('q', 'second');
    await peer.quiet();
    expect(published()).toBe(1);

    fixture.consumerBias.settled(1e6);
    await eventually(() => published() === 2);
  });
});

describe('a client that does not read its answers', () => {
  it('is not read any further, until it does', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    peer.pause();
    const body = Buffer.alloc(100_000);
    const returned = () => fixture.broker.stats().counters.unroutableReturned;
    for (let count = 0; count < 100; count++) peer.publishes('nobody', body, {}, { mandatory: true });
    await peer.quiet(300);
    expect(returned()).toBeGreaterThan(40);
    expect(returned()).toBeLessThan(60);
    peer.resume();
    for (let count = 0; count < 100; count++) await peer.expects('basic.return');
    expect(returned()).toBe(100);
  });
});

describe('any bytes', () => {
  it('are served or refused, and never a fault of ours', async () => {
    const faults: object[] = [];
    const log = { info() {}, warn() {}, error: (fields: object) => void faults.push(fields) };
    await fc.assert(
      fc.asyncProperty(fc.array(aPiece, { maxLength: 30 }), async (pieces) => {
        const fixture = new WireFixture({ log });
        const peer = await fixture.aClient();
        for (const piece of pieces) peer.write(piece);
        await peer.quiet();
        peer.cut();
        await eventually(() => fixture.broker.stats().connectionCount === 0);
        expect(faults).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('update-secret', () => {
  it('is answered with ok whatever the secret is: passwords do not expire', async () => {
    const peer = await new WireFixture().aClient();
    peer.sends('connection.update-secret', { newSecret: Buffer.from('anything'), reason: 'rotated' });
    await peer.expects('connection.update-secret-ok');
    await peer.declares('q');
  });

  it('is refused with 530 where secrets are checked and this one is wrong', async () => {
    const users = {
      authenticate: () => true,
      mayAccess: () => true,
      acceptsSecret: async (user: string, secret: string) => user === 'guest' && secret === 'fresh',
    };
    const peer = await new WireFixture({ users }).aClient();
    peer.sends('connection.update-secret', { newSecret: Buffer.from('fresh') });
    await peer.expects('connection.update-secret-ok');
    peer.sends('connection.update-secret', { newSecret: Buffer.from('stale') });
    const replyText = 'NOT_ALLOWED - New secret was refused by one of the backends';
    await peer.expects('connection.close', { replyCode: 530, replyText, classId: 10, methodId: 70 });
  });
});

describe('stats', () => {
  it('show a connection with its channels', async () => {
    const fixture = new WireFixture();
    const peer = await fixture.aClient();
    await peer.declares('q');
    peer.sends('basic.qos', { prefetchCount: 5 });
    await peer.expects('basic.qos-ok');
    peer.sends('basic.consume', { queue: 'q', consumerTag: 'c' });
    await peer.expects('basic.consume-ok');
    expect(fixture.broker.stats().connections).toMatchObject([
      {
        name: '127.0.0.1:40000 -> 127.0.0.1:5672',
        clientName: 'test',
        user: 'guest',
        virtualHost: '/',
        state: 'running',
        channels: [{ number: 1, consumers: 1, prefetch: 5, mode: 'plain' }],
      },
    ]);
  });
});

describe('an account that cannot be checked', () => {
  it('closes the connection with 541 and is logged', async () => {
    const errors: string[] = [];
    const log = { info() {}, warn() {}, error: (_fields: object, text: string) => void errors.push(text) };
    const users = { authenticate: () => Promise.reject(new Error('database is away')), mayAccess: () => true };
    const peer = new WireFixture({ users, log }).connects();
    peer.write(Buffer.from('AMQP\0\0\x09\x01'));
    await peer.expects('connection.start');
    peer.write(
      encodeMethod(0, 'connection.start-ok', {
        clientProperties: tableOf({}),
        mechanism: 'PLAIN',
        response: Buffer.from('\0a\0b'),
        locale: '',
      }),
    );
    await peer.expects('connection.close', { replyCode: 541 });
    expect(errors).toEqual(['internal error']);
  });
});

/** Mostly what clients may send: anything else ends the story. */
const NAMES = (Object.keys(METHODS) as MethodName[]).filter(
  (name) => !/^connection|-ok$|-empty$|return|deliver/.test(name),
);
const ALL_NAMES = Object.keys(METHODS) as MethodName[];

/** A method with arguments made up or left out, content, or junk in a whole frame. */
const aPiece: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom('', 'q'), fc.nat(3), fc.boolean()).map(aMethod),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...ALL_NAMES), fc.constant('q'), fc.nat(3), fc.boolean()).map(aMethod),
  },
  { weight: 4, arbitrary: fc.constantFrom('', 'x', 'y'.repeat(5000)).map((body) => aPublish(body)) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(9), fc.nat(2), fc.uint8Array({ maxLength: 40 })).map(([type, channel, payload]) => {
      const frame = Buffer.alloc(payload.length + 8);
      frame.set(payload, writeFrameHead(frame, 0, type, channel, payload.length));
      frame[frame.length - 1] = 0xce;
      return frame;
    }),
  },
);

function aMethod([name, text, number, bit]: [MethodName, string, number, boolean]): Buffer {
  const made = {
    octet: number,
    short: number,
    long: number,
    longlong: number,
    shortstr: text,
    longstr: Buffer.from(text),
    bit,
    table: [],
  };
  const args = Object.fromEntries(shapeOf(name).fields.map(([field, type]) => [field, made[type]]));
  return encodeMethod(name.startsWith('connection.') ? 0 : 1, name, args as never);
}

function aPublish(body: string): Buffer {
  const properties = Buffer.of(0, 0);
  const content = Buffer.alloc(contentFramesBytes(properties.length, body.length, 4096));
  writeContent(content, 0, 1, properties, Buffer.from(body), 4096);
  return Buffer.concat([aMethod(['basic.publish', 'q', 0, false]), content]);
}
