import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import fc from 'fast-check';
import { encodeMethod, HEARTBEAT_FRAME } from '#amqp-codec';
import { fuzzing, isRunning, removeFolder, type Service, startService } from '#testing';
import { openingBytes, publishBytes, RawClient } from './raw-client.js';

const OPEN_CHANNEL = encodeMethod(1, 'channel.open', {});
const parameters = fuzzing('listener', 400);
const AT_ONCE = 8;
/** What all this may leave behind in memory. */
const MEMORY_GROWTH_BYTES_MAX = 300 * 1024 * 1024;
/** Codes a client can bring upon itself; 541 would be a mistake of the broker's. */
const CLIENT_CODES = [403, 501, 502, 503, 504, 505, 506, 530, 540];

const frame = (type: number, channel: number, payload: Buffer | string, end = 0xce) => {
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(payload.replaceAll(' ', ''), 'hex');
  const head = Buffer.alloc(7);
  head[0] = type;
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(bytes.length, 3);
  return Buffer.concat([head, bytes, Buffer.of(end)]);
};
const PUBLISH = encodeMethod(1, 'basic.publish', { exchange: '', routingKey: 'q', mandatory: false, immediate: false });

/** One mistake each, on a connection with channel 1 open. */
const CLASSES: [what: string, bytes: Buffer, replyCode: number][] = [
  ['a wrong end byte', frame(1, 1, '005a000a', 0xcd), 501],
  ['an oversized frame', frame(3, 1, Buffer.alloc(131_072 + 1)), 501],
  ['an unknown frame type', frame(7, 1, ''), 501],
  ['a heartbeat with a payload', frame(8, 0, '00'), 501],
  ['a heartbeat on a channel', frame(8, 1, ''), 505],
  ['a header out of place', frame(2, 1, '003c 0000 0000000000000000 0000'), 505],
  ['a body out of place', frame(3, 1, '00'), 505],
  ['a body on channel 0', frame(3, 0, '00'), 505],
  ['a method inside a content', Buffer.concat([PUBLISH, frame(1, 1, '005a000a')]), 505],
  ['a header of another class', Buffer.concat([PUBLISH, frame(2, 1, '0032 0000 0000000000000000 0000')]), 505],
  ['properties cut short', Buffer.concat([PUBLISH, frame(2, 1, '003c 0000 0000000000000000 8000 05 61')]), 502],
  [
    'more body than announced',
    Buffer.concat([PUBLISH, frame(2, 1, '003c 0000 0000000000000001 0000'), frame(3, 1, '0000')]),
    501,
  ],
  ['an unknown method', frame(1, 1, '003c00ff'), 503],
  ['arguments cut short', frame(1, 1, '0032000a 0000 05 61'), 501],
  ['a table of an unknown type', frame(1, 1, '0032000a 0000 0171 00 00000003 016120'), 501],
  ['a method on a channel that is not open', frame(1, 9, '005a000a'), 504],
  ['a method of the broker', encodeMethod(1, 'queue.delete-ok', { messageCount: 0 }), 503],
];

describe('the listener', () => {
  let broker: Service;
  let port: number;
  let neighbour: Neighbour;
  let before: number;

  beforeAll(async () => {
    broker = await startService({ app: 'broker' });
    port = Number(new URL(broker.amqp).port);
    neighbour = await Neighbour.start(broker.amqp);
    before = residentBytes(broker.pid);
  });
  afterAll(async () => {
    await broker.kill();
    await removeFolder(broker.folder);
  });

  it.each(CLASSES)('closes a connection for %s', async (_what, bytes, replyCode) => {
    const client = new RawClient(port);
    client.write(Buffer.concat([openingBytes(), OPEN_CHANNEL]));
    await client.hears('channel.open-ok');
    client.write(bytes);
    await client.ended;
    expect(client.closeArgs?.replyCode).toBe(replyCode);
  });

  it('survives any bytes, and damage to what was right', async () => {
    const streams: Buffer[] = fc.sample(aDamagedStream, parameters);
    const codes = new Map<number, number>();
    const play = async (stream: Buffer) => {
      const client = new RawClient(port);
      client.end(stream);
      await client.ended;
      const code = client.closeArgs?.replyCode ?? 0;
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (code !== 0 && !CLIENT_CODES.includes(code)) throw new Error(`${code} for ${stream.toString('hex')}`);
    };
    const players = Array.from({ length: AT_ONCE }, async () => {
      for (let stream = streams.pop(); stream !== undefined; stream = streams.pop()) await play(stream);
    });
    await Promise.all(players);
    // Not all in vain: the damage was noticed in more than one way.
    expect(codes.size).toBeGreaterThan(3);
  });

  it('let nobody else suffer', async () => {
    const { confirmed, received } = await neighbour.stop();
    expect(confirmed).toBeGreaterThan(0);
    expect(received).toBe(confirmed);
    expect(isRunning(broker.pid)).toBe(true);
    expect(broker.output()).not.toContain('internal error');
    expect(residentBytes(broker.pid) - before).toBeLessThan(MEMORY_GROWTH_BYTES_MAX);
    expect(await broker.stop()).toBe(0);
  });
});

/** A well-behaved connection: one persistent message after the other, confirmed and consumed. */
class Neighbour {
  #isStopping = false;
  #received = 0;
  #done: Promise<number>;

  private constructor(
    private readonly connection: Awaited<ReturnType<typeof connect>>,
    publishes: (isStopping: () => boolean) => Promise<number>,
    onDelivery: (count: () => void) => void,
  ) {
    onDelivery(() => this.#received++);
    this.#done = publishes(() => this.#isStopping);
  }

  static async start(url: string): Promise<Neighbour> {
    const connection = await connect(url);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('neighbour', { durable: true });
    let count = () => {};
    await channel.consume('neighbour', (message) => {
      if (message === null) return;
      channel.ack(message);
      count();
    });
    const publishes = async (isStopping: () => boolean) => {
      let confirmed = 0;
      while (!isStopping()) {
        channel.sendToQueue('neighbour', Buffer.from(`message ${confirmed}`), { persistent: true });
        await channel.waitForConfirms();
        confirmed++;
      }
      return confirmed;
    };
    return new Neighbour(connection, publishes, (counts) => {
      count = counts;
    });
  }

  async stop(): Promise<{ confirmed: number; received: number }> {
    this.#isStopping = true;
    const confirmed = await this.#done;
    while (this.#received < confirmed) await new Promise((resolve) => setImmediate(resolve));
    await this.connection.close();
    return { confirmed, received: this.#received };
  }
}

const RIGHT = [
  openingBytes(),
  OPEN_CHANNEL,
  encodeMethod(1, 'queue.declare', {
    queue: 'fuzzed',
    passive: false,
    durable: true,
    exclusive: false,
    autoDelete: false,
    nowait: false,
    arguments: [['x-max-length', { tag: 'I', value: 100 }]],
  }),
  encodeMethod(1, 'confirm.select', { nowait: false }),
  publishBytes(1, 'fuzzed', Buffer.from('a body')),
  publishBytes(1, 'fuzzed', Buffer.alloc(3000, 'long ')),
  encodeMethod(1, 'basic.qos', { prefetchSize: 0, prefetchCount: 10, global: false }),
  encodeMethod(1, 'basic.consume', {
    queue: 'fuzzed',
    consumerTag: 'me',
    noLocal: false,
    noAck: false,
    exclusive: false,
    nowait: false,
    arguments: [],
  }),
  HEARTBEAT_FRAME,
  encodeMethod(1, 'basic.ack', { deliveryTag: 0, multiple: true }),
  encodeMethod(1, 'basic.recover', { requeue: true }),
];

type Damage = 'set' | 'insert' | 'cut';

/** Frames of a right dialogue, some left out, repeated or moved, then bytes overwritten, inserted and cut; or noise alone. */
const aDamagedStream: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes): Buffer => Buffer.from(bytes)) },
  {
    weight: 2,
    arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.concat([openingBytes(), OPEN_CHANNEL, bytes])),
  },
  {
    weight: 7,
    arbitrary: fc
      .tuple(
        fc.boolean(),
        fc.array(fc.nat({ max: RIGHT.length - 2 }), { minLength: 1, maxLength: 12 }),
        fc.array(
          fc.tuple(fc.constantFrom<Damage>('set', 'insert', 'cut'), fc.nat({ max: 1_000_000 }), fc.nat({ max: 255 })),
          {
            maxLength: 5,
          },
        ),
      )
      .map(([isInOrder, order, damages]) => {
        const frames = isInOrder ? RIGHT.slice(1) : order.map((index) => RIGHT[index + 1]!);
        const begin = openingBytes();
        const rest = Buffer.concat(isInOrder ? frames : [OPEN_CHANNEL, ...frames]);
        // One in five damages the handshake as well.
        const first = (damages[0]?.[2] ?? 0) < 50 ? 0 : begin.length;
        return damages.reduce<Buffer>((bytes, damage) => damaged(bytes, first, damage), Buffer.concat([begin, rest]));
      }),
  },
);

function damaged(bytes: Buffer, first: number, [kind, place, byte]: [Damage, number, number]): Buffer {
  const at = first + (place % Math.max(1, bytes.length - first));
  if (kind === 'cut') return Buffer.from(bytes.subarray(0, at));
  return Buffer.concat([bytes.subarray(0, at), Buffer.of(byte), bytes.subarray(kind === 'set' ? at + 1 : at)]);
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
