import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { encodeTable, findField, PROTOCOL_HEADER, tableOf } from '#amqp-codec';
import { isLoopback } from '../access/loopback.js';
import { type PeerDialogue, WireFixture } from '../wire.harness.js';
import { credentialsOf, HANDSHAKE_MS_MAX, judgeProtocolHeader, negotiate, REFUSAL_DELAY_MS } from './handshake.js';
import { StaticUsers } from './users.js';

afterEach(() => {
  jest.useRealTimers();
});

describe('the protocol header', () => {
  it.each([
    ['AMQP 0-9-1', Buffer.from('AMQP\0\0\x09\x01'), 'accepted'],
    ['AMQP 0-9', Buffer.from('AMQP\x01\x01\0\x09'), 'accepted'],
    ['AMQP 1.0', Buffer.from('AMQP\0\x01\0\0'), 'refused'],
    ['AMQP 0-10', Buffer.from('AMQP\x01\x01\0\x0a'), 'refused'],
    ['HTTP', Buffer.from('GET / HTTP/1.1'), 'refused'],
    ['TLS', Buffer.from([0x16, 3]), 'refused'],
    ['a part', Buffer.from('AMQP\0'), 'incomplete'],
    ['nothing', Buffer.alloc(0), 'incomplete'],
  ] as const)('%s', (_name, bytes, judgement) => {
    expect(judgeProtocolHeader(bytes)).toBe(judgement);
  });

  it('is answered with ours and the end when it is not understood', async () => {
    const peer = new WireFixture().connects();
    peer.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await peer.expectsEnd();
    expect(Buffer.concat(peer.raw).equals(PROTOCOL_HEADER)).toBe(true);
  });

  it('may come in pieces', async () => {
    const peer = new WireFixture().connects();
    for (const byte of PROTOCOL_HEADER) peer.write(Buffer.of(byte));
    const { serverProperties, mechanisms, locales, versionMajor, versionMinor } =
      await peer.expects('connection.start');
    expect([versionMajor, versionMinor, mechanisms.toString(), locales.toString()]).toEqual([
      0,
      9,
      'PLAIN AMQPLAIN',
      'en_US',
    ]);
    expect(findField(serverProperties, 'product')).toEqual({ tag: 'S', value: 'RabbitMQ' });
    expect(findField(serverProperties, 'version')).toEqual({ tag: 'S', value: '3.13.7' });
  });
});

describe('credentials', () => {
  it('are read from PLAIN and AMQPLAIN', () => {
    expect(credentialsOf('PLAIN', Buffer.from('\0ann\0päss'))).toEqual({ user: 'ann', password: 'päss' });
    expect(credentialsOf('PLAIN', Buffer.from('other\0ann\0pass')).user).toBe('ann');
    const table = encodeTable(tableOf({ LOGIN: 'ann', PASSWORD: 'pass' })).subarray(4);
    expect(credentialsOf('AMQPLAIN', table)).toEqual({ user: 'ann', password: 'pass' });
  });

  it('in a response that cannot be read are a syntax error; an unknown mechanism is 503', () => {
    const thrown = (mechanism: string, response: string) => {
      try {
        return credentialsOf(mechanism, Buffer.from(response));
      } catch (error) {
        return (error as { reply: string }).reply;
      }
    };
    expect(thrown('PLAIN', 'annpass')).toBe('syntax-error');
    expect(thrown('AMQPLAIN', 'x')).toBe('syntax-error');
    expect(thrown('AMQPLAIN', '')).toBe('syntax-error');
    expect(thrown('EXTERNAL', '')).toBe('command-invalid');
  });

  it('of guest count from this machine only', async () => {
    const users = new StaticUsers();
    expect(['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'].every(isLoopback)).toBe(true);
    expect(['10.0.0.1', '::ffff:10.0.0.1', '2001:db8::1'].some(isLoopback)).toBe(false);
    expect(users.authenticate('guest', 'guest', '127.0.0.1')).toBe(true);
    expect(users.authenticate('guest', 'guest', '10.0.0.1')).toBe(false);
    expect(users.authenticate('guest', 'wrong', '127.0.0.1')).toBe(false);
    expect(users.authenticate('toString', 'x', '127.0.0.1')).toBe(false);
  });

  it('that are wrong are refused at once, with 403 for clients that can hear it; the connection ends after a second', async () => {
    for (const capable of [true, false]) {
      const peer = new WireFixture().connects();
      peer.write(PROTOCOL_HEADER);
      await peer.expects('connection.start');
      jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
      peer.sends('connection.start-ok', {
        clientProperties: tableOf({ capabilities: { authentication_failure_close: capable } }),
        mechanism: 'PLAIN',
        response: Buffer.from('\0guest\0wrong'),
      });
      if (capable) {
        const text =
          'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.';
        await peer.expects('connection.close', { replyCode: 403, replyText: text });
      }
      await peer.expectsNothing();
      jest.advanceTimersByTime(REFUSAL_DELAY_MS);
      await peer.expectsEnd();
      jest.useRealTimers();
    }
  });
});

describe('tuning', () => {
  const offered = { channelMax: 2047, frameMax: 131_072, heartbeat: 60 };

  it.each([
    [{ channelMax: 2047, frameMax: 131_072, heartbeat: 0 }, 'accepted'],
    [{ channelMax: 1, frameMax: 4096, heartbeat: 3600 }, 'accepted'],
    [
      { ...offered, frameMax: 131_073 },
      'negotiated frame_max = 131073 is higher than the maximum allowed value (131072)',
    ],
    [{ ...offered, frameMax: 0 }, 'negotiated frame_max = 0 is higher than the maximum allowed value (131072)'],
    [{ ...offered, frameMax: 4095 }, 'negotiated frame_max = 4095 is lower than the minimum allowed value (4096)'],
    [{ ...offered, channelMax: 0 }, 'negotiated channel_max = 0 is higher than the maximum allowed value (2047)'],
    [{ ...offered, channelMax: 2048 }, 'negotiated channel_max = 2048 is higher than the maximum allowed value (2047)'],
  ])('%j: %s', (answer, outcome) => {
    if (outcome === 'accepted') expect(negotiate(offered, answer, 4096)).toEqual(answer);
    else expect(() => negotiate(offered, answer, 4096)).toThrow(outcome);
  });
});

describe('the handshake', () => {
  it('refuses a virtual host nobody knows, and one the user may not open', async () => {
    const users = new StaticUsers({ guest: { password: 'guest', virtualHosts: [] } });
    for (const [fixture, virtualHost, text] of [
      [new WireFixture(), 'nope', 'NOT_ALLOWED - vhost nope not found'],
      [new WireFixture({ users }), '/', "NOT_ALLOWED - access to vhost '/' refused for user 'guest'"],
    ] as const) {
      const peer = await loggedIn(fixture);
      peer.sends('connection.open', { virtualHost });
      await peer.expects('connection.close', { replyCode: 530, replyText: text, classId: 10, methodId: 40 });
      peer.sends('connection.close-ok');
      await peer.expectsEnd();
    }
  });

  it('waits for accounts that are looked up, and keeps what came meanwhile', async () => {
    let answer: (isAccepted: boolean) => void = () => {};
    const users = {
      authenticate: () => true,
      mayAccess: () => new Promise<boolean>((resolve) => (answer = resolve)),
    };
    const peer = await loggedIn(new WireFixture({ users }));
    peer.sends('connection.open', { virtualHost: '/' });
    peer.sends('channel.open');
    peer.sends('queue.declare', { queue: 'early' });
    await peer.expectsNothing();
    answer(true);
    await peer.expects('connection.open-ok');
    await peer.expects('channel.open-ok');
    await peer.expects('queue.declare-ok');
  });

  it('refuses a method out of turn with 504, naming it', async () => {
    const peer = await loggedIn(new WireFixture());
    peer.sends('connection.tune-ok', { channelMax: 1, frameMax: 4096, heartbeat: 0 });
    await peer.expects('connection.close', { replyCode: 504, classId: 10, methodId: 31 });
  });

  it('is cut when it takes too long', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const peer = new WireFixture().connects();
    peer.write(PROTOCOL_HEADER);
    await peer.expects('connection.start');
    jest.advanceTimersByTime(HANDSHAKE_MS_MAX - 1);
    await peer.expectsNothing();
    expect(peer.isClosed).toBe(false);
    jest.advanceTimersByTime(1);
    await peer.expectsEnd();
  });
});

async function loggedIn(fixture: WireFixture): Promise<PeerDialogue> {
  const peer = fixture.connects();
  peer.write(PROTOCOL_HEADER);
  await peer.expects('connection.start');
  peer.sends('connection.start-ok', { mechanism: 'PLAIN', response: Buffer.from('\0guest\0guest') });
  const tuning = await peer.expects('connection.tune', { channelMax: 2047, frameMax: 131_072, heartbeat: 60 });
  peer.sends('connection.tune-ok', { channelMax: tuning.channelMax, frameMax: tuning.frameMax, heartbeat: 0 });
  return peer;
}
