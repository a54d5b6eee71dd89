import { connect, type Socket } from 'node:net';
import {
  contentFramesBytes,
  decodeMethod,
  encodeMethod,
  encodeProperties,
  FRAME_METHOD,
  FrameParser,
  type Method,
  PROTOCOL_HEADER,
  tableOf,
  writeContent,
} from '#amqp-codec';

const CLOSE_OK = encodeMethod(0, 'connection.close-ok', {});
const FRAME_MAX = 131_072;

/** What a client says to open a connection, in one go. */
export function openingBytes({ password = 'guest', virtualHost = '/' } = {}): Buffer {
  return Buffer.concat([
    PROTOCOL_HEADER,
    encodeMethod(0, 'connection.start-ok', {
      clientProperties: tableOf({ capabilities: { authentication_failure_close: true } }),
      mechanism: 'PLAIN',
      response: Buffer.from(`\0guest\0${password}`),
      locale: 'en_US',
    }),
    encodeMethod(0, 'connection.tune-ok', { channelMax: 2047, frameMax: FRAME_MAX, heartbeat: 0 }),
    encodeMethod(0, 'connection.open', { virtualHost }),
  ]);
}

export function publishBytes(channel: number, routingKey: string, body: Buffer): Buffer {
  const properties = encodeProperties({ deliveryMode: 2, headers: tableOf({ a: 1, b: { c: ['d'] } }) });
  const content = Buffer.alloc(contentFramesBytes(properties.length, body.length, FRAME_MAX));
  writeContent(content, 0, channel, properties, body, FRAME_MAX);
  const method = { exchange: '', routingKey, mandatory: false, immediate: false };
  return Buffer.concat([encodeMethod(channel, 'basic.publish', method), content]);
}

/** A client that writes any bytes and listens to what comes back. It answers a close, so that no side waits for the other. */
export class RawClient {
  readonly heard: Method[] = [];
  /** connection.close of the broker. */
  closeArgs: { replyCode: number; replyText: string } | undefined;
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  #onHeard = () => {};

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    const parser = new FrameParser(0, (type, _channel, bytes, start, end) => {
      if (type === FRAME_METHOD) this.#hears(decodeMethod(bytes, start, end));
    });
    this.#socket.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1', 0, 4) !== 'AMQP') parser.push(chunk);
    });
    // A reset is an end as well; 'close' follows.
    this.#socket.on('error', () => {});
    this.ended = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    void this.ended.then(() => this.#onHeard());
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Writes the last and ends its side. */
  end(bytes: Buffer = Buffer.alloc(0)): void {
    this.#socket.end(bytes);
  }

  /** Waits for a method of that name, or for the end. */
  async hears(name: Method['name']): Promise<Method | undefined> {
    let isEnded = false;
    void this.ended.then(() => {
      isEnded = true;
    });
    for (;;) {
      const method = this.heard.find((each) => each.name === name);
      if (method !== undefined || isEnded) return method;
      await new Promise<void>((resolve) => {
        this.#onHeard = resolve;
      });
    }
  }

  #hears(method: Method): void {
    this.heard.push(method);
    if (method.name === 'connection.close') {
      this.closeArgs = method.args;
      this.#socket.write(CLOSE_OK);
    }
    if (method.name === 'channel.close') this.#socket.write(encodeMethod(1, 'channel.close-ok', {}));
    this.#onHeard();
  }
}
