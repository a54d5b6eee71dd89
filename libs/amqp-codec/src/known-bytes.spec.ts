import { describe, expect, it } from '@jest/globals';
import { FRAME_HEAD_BYTES } from './frames.js';
import { decodeMethod, encodeMethod } from './method-codec.js';
import type { MethodArguments, MethodName } from './methods.js';
import { decodeProperties, encodeProperties, type Properties, type PropertyName } from './properties.js';

const TABLE = [['a', { tag: 't', value: true }]] as const;

/** Payloads as another implementation writes them (pika); update-secret by hand, from RabbitMQ's machine-readable list. */
const METHODS_AS_BYTES: { [Name in MethodName]: [args: MethodArguments<Name>, payload: string] } = {
  'connection.start': [
    {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: TABLE,
      mechanisms: Buffer.from('mechanisms'),
      locales: Buffer.from('locales'),
    },
    '000a000a000900000004016174010000000a6d656368616e69736d73000000076c6f63616c6573',
  ],
  'connection.start-ok': [
    { clientProperties: TABLE, mechanism: 'PLAIN', response: Buffer.from('response'), locale: 'en_US' },
    '000a000b000000040161740105504c41494e00000008726573706f6e736505656e5f5553',
  ],
  'connection.secure': [{ challenge: Buffer.from('challenge') }, '000a0014000000096368616c6c656e6765'],
  'connection.secure-ok': [{ response: Buffer.from('response') }, '000a001500000008726573706f6e7365'],
  'connection.tune': [{ channelMax: 2047, frameMax: 131072, heartbeat: 60 }, '000a001e07ff00020000003c'],
  'connection.tune-ok': [{ channelMax: 2047, frameMax: 131072, heartbeat: 60 }, '000a001f07ff00020000003c'],
  'connection.open': [{ virtualHost: '/' }, '000a0028012f0000'],
  'connection.open-ok': [{}, '000a002900'],
  'connection.close': [
    { replyCode: 404, replyText: 'text', classId: 50, methodId: 10 },
    '000a0032019404746578740032000a',
  ],
  'connection.close-ok': [{}, '000a0033'],
  'connection.blocked': [{ reason: 'why' }, '000a003c03776879'],
  'connection.unblocked': [{}, '000a003d'],
  'connection.update-secret': [
    { newSecret: Buffer.from('secret'), reason: 'why' },
    '000a00460000000673656372657403776879',
  ],
  'connection.update-secret-ok': [{}, '000a0047'],
  'channel.open': [{}, '0014000a00'],
  'channel.open-ok': [{}, '0014000b00000000'],
  'channel.flow': [{ active: true }, '0014001401'],
  'channel.flow-ok': [{ active: true }, '0014001501'],
  'channel.close': [{ replyCode: 404, replyText: 'text', classId: 50, methodId: 10 }, '00140028019404746578740032000a'],
  'channel.close-ok': [{}, '00140029'],
  'access.request': [
    { realm: 'realm', exclusive: true, passive: false, active: true, write: false, read: true },
    '001e000a057265616c6d15',
  ],
  'access.request-ok': [{ ticket: 1 }, '001e000b0001'],
  'exchange.declare': [
    {
      exchange: 'from',
      type: 'topic',
      passive: true,
      durable: false,
      autoDelete: true,
      internal: false,
      nowait: true,
      arguments: TABLE,
    },
    '0028000a00000466726f6d05746f706963150000000401617401',
  ],
  'exchange.declare-ok': [{}, '0028000b'],
  'exchange.delete': [{ exchange: 'from', ifUnused: true, nowait: false }, '0028001400000466726f6d01'],
  'exchange.delete-ok': [{}, '00280015'],
  'exchange.bind': [
    { destination: 'to', source: 'from', routingKey: 'key', nowait: true, arguments: TABLE },
    '0028001e000002746f0466726f6d036b6579010000000401617401',
  ],
  'exchange.bind-ok': [{}, '0028001f'],
  'exchange.unbind': [
    { destination: 'to', source: 'from', routingKey: 'key', nowait: true, arguments: TABLE },
    '00280028000002746f0466726f6d036b6579010000000401617401',
  ],
  'exchange.unbind-ok': [{}, '00280033'],
  'queue.declare': [
    {
      queue: 'queue',
      passive: true,
      durable: false,
      exclusive: true,
      autoDelete: false,
      nowait: true,
      arguments: TABLE,
    },
    '0032000a0000057175657565150000000401617401',
  ],
  'queue.declare-ok': [
    { queue: 'queue', messageCount: 65537, consumerCount: 3 },
    '0032000b0571756575650001000100000003',
  ],
  'queue.bind': [
    { queue: 'queue', exchange: 'from', routingKey: 'key', nowait: true, arguments: TABLE },
    '0032001400000571756575650466726f6d036b6579010000000401617401',
  ],
  'queue.bind-ok': [{}, '00320015'],
  'queue.purge': [{ queue: 'queue', nowait: true }, '0032001e000005717565756501'],
  'queue.purge-ok': [{ messageCount: 65537 }, '0032001f00010001'],
  'queue.delete': [{ queue: 'queue', ifUnused: true, ifEmpty: false, nowait: true }, '00320028000005717565756505'],
  'queue.delete-ok': [{ messageCount: 65537 }, '0032002900010001'],
  'queue.unbind': [
    { queue: 'queue', exchange: 'from', routingKey: 'key', arguments: TABLE },
    '0032003200000571756575650466726f6d036b65790000000401617401',
  ],
  'queue.unbind-ok': [{}, '00320033'],
  'basic.qos': [{ prefetchSize: 70000, prefetchCount: 258, global: true }, '003c000a00011170010201'],
  'basic.qos-ok': [{}, '003c000b'],
  'basic.consume': [
    {
      queue: 'queue',
      consumerTag: 'tag',
      noLocal: true,
      noAck: false,
      exclusive: true,
      nowait: false,
      arguments: TABLE,
    },
    '003c0014000005717565756503746167050000000401617401',
  ],
  'basic.consume-ok': [{ consumerTag: 'tag' }, '003c001503746167'],
  'basic.cancel': [{ consumerTag: 'tag', nowait: true }, '003c001e0374616701'],
  'basic.cancel-ok': [{ consumerTag: 'tag' }, '003c001f03746167'],
  'basic.publish': [
    { exchange: 'from', routingKey: 'key', mandatory: true, immediate: false },
    '003c002800000466726f6d036b657901',
  ],
  'basic.return': [
    { replyCode: 404, replyText: 'text', exchange: 'from', routingKey: 'key' },
    '003c0032019404746578740466726f6d036b6579',
  ],
  'basic.deliver': [
    { consumerTag: 'tag', deliveryTag: 2 ** 32 + 7, redelivered: true, exchange: 'from', routingKey: 'key' },
    '003c003c037461670000000100000007010466726f6d036b6579',
  ],
  'basic.get': [{ queue: 'queue', noAck: true }, '003c0046000005717565756501'],
  'basic.get-ok': [
    { deliveryTag: 2 ** 32 + 7, redelivered: true, exchange: 'from', routingKey: 'key', messageCount: 65537 },
    '003c00470000000100000007010466726f6d036b657900010001',
  ],
  'basic.get-empty': [{}, '003c004800'],
  'basic.ack': [{ deliveryTag: 2 ** 32 + 7, multiple: true }, '003c0050000000010000000701'],
  'basic.reject': [{ deliveryTag: 2 ** 32 + 7, requeue: true }, '003c005a000000010000000701'],
  'basic.recover-async': [{ requeue: true }, '003c006401'],
  'basic.recover': [{ requeue: true }, '003c006e01'],
  'basic.recover-ok': [{}, '003c006f'],
  'basic.nack': [{ deliveryTag: 2 ** 32 + 7, multiple: true, requeue: false }, '003c0078000000010000000701'],
  'confirm.select': [{ nowait: true }, '0055000a01'],
  'confirm.select-ok': [{}, '0055000b'],
  'tx.select': [{}, '005a000a'],
  'tx.select-ok': [{}, '005a000b'],
  'tx.commit': [{}, '005a0014'],
  'tx.commit-ok': [{}, '005a0015'],
  'tx.rollback': [{}, '005a001e'],
  'tx.rollback-ok': [{}, '005a001f'],
};

/** Bits that share an octet, the first in its lowest bit. */
const BITS: [MethodName, string[]][] = [
  ['access.request', ['exclusive', 'passive', 'active', 'write', 'read']],
  ['exchange.declare', ['passive', 'durable', 'autoDelete', 'internal', 'nowait']],
  ['exchange.delete', ['ifUnused', 'nowait']],
  ['queue.declare', ['passive', 'durable', 'exclusive', 'autoDelete', 'nowait']],
  ['queue.delete', ['ifUnused', 'ifEmpty', 'nowait']],
  ['basic.consume', ['noLocal', 'noAck', 'exclusive', 'nowait']],
  ['basic.publish', ['mandatory', 'immediate']],
  ['basic.nack', ['multiple', 'requeue']],
];

const PROPERTIES_AS_BYTES: { [Name in PropertyName]: [value: NonNullable<Properties[Name]>, bytes: string] } = {
  contentType: ['text/plain', '80000a746578742f706c61696e'],
  contentEncoding: ['gzip', '400004677a6970'],
  headers: [TABLE, '20000000000401617401'],
  deliveryMode: [2, '100002'],
  priority: [9, '080009'],
  correlationId: ['id', '0400026964'],
  replyTo: ['back', '0200046261636b'],
  expiration: ['1000', '01000431303030'],
  messageId: ['m1', '0080026d31'],
  timestamp: [1_700_000_000n, '0040000000006553f100'],
  type: ['kind', '0020046b696e64'],
  userId: ['guest', '0010056775657374'],
  appId: ['app', '000803617070'],
  clusterId: ['c', '00040163'],
};

const ALL_PROPERTIES =
  'fffc0a746578742f706c61696e04677a697000000004016174010209026964046261636b0431303030026d31000000006553f100046b696e64056775657374036170700163';

describe('the bytes of', () => {
  const methods = Object.entries(METHODS_AS_BYTES) as [MethodName, [MethodArguments<MethodName>, string]][];
  it.each(methods)('%s are those another implementation writes', (name, [args, payload]) => {
    const frame = encodeMethod(258, name, args);
    const bytes = Buffer.from(payload, 'hex');
    expect(frame.subarray(FRAME_HEAD_BYTES, -1).toString('hex')).toBe(payload);
    expect(frame.subarray(0, FRAME_HEAD_BYTES).toString('hex')).toBe(
      `010102${bytes.length.toString(16).padStart(8, '0')}`,
    );
    expect(frame.at(-1)).toBe(0xce);
    expect(decodeMethod(bytes)).toEqual({ name, args });
  });

  it.each(BITS)('%s give each bit its own place', (name, bits) => {
    const [args] = METHODS_AS_BYTES[name];
    const none = encodeMethod(1, name, { ...args, ...Object.fromEntries(bits.map((bit) => [bit, false])) } as never);
    bits.forEach((bit, index) => {
      const off = Object.fromEntries(bits.map((each) => [each, each === bit]));
      const frame = encodeMethod(1, name, { ...args, ...off } as never);
      const differences = [...frame].map((byte, at) => byte - none[at]!).filter((difference) => difference !== 0);
      expect(differences).toEqual([1 << index]);
    });
  });

  const properties = Object.entries(PROPERTIES_AS_BYTES) as [PropertyName, [never, string]][];
  it.each(properties)('the property %s are those another implementation writes', (name, [value, bytes]) => {
    expect(encodeProperties({ [name]: value }).toString('hex')).toBe(bytes);
    expect(decodeProperties(Buffer.from(bytes, 'hex'))).toEqual({ [name]: value });
  });

  it('all properties together keep their order', () => {
    const all = Object.fromEntries(properties.map(([name, [value]]) => [name, value])) as Properties;
    expect(encodeProperties(all).toString('hex')).toBe(ALL_PROPERTIES);
    expect(decodeProperties(Buffer.from(ALL_PROPERTIES, 'hex'))).toEqual(all);
  });
});
