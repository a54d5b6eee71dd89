import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  encodeMethod,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FrameParser,
  type MethodArguments,
  type MethodName,
  PROTOCOL_HEADER,
  tableOf,
} from '#amqp-codec';
import { ConfirmLedger } from './confirm-ledger.js';
import { heardMethod, replyToOf, textOfContent } from './hearing.js';
import { sendingOf } from './sending.js';

/** Where a broker listens. */
export interface Address {
  host: string;
  port: number;
}

/** How a dialogue wants a connection to be; parsed from its words. */
export interface PeerOptions {
  /** How far the driver makes the handshake; the dialogue does the rest. */
  handshakeUpTo: 'nothing' | 'start' | 'tune' | 'open';
  /** The dialogue opens channels and answers closes itself. */
  isByHand: boolean;
  without: string[];
  /** Whose password is the same. */
  user: string;
  virtualHost: string;
  tuning: Partial<MethodArguments<'connection.tune-ok'>>;
}

export function peerOptions(words: readonly string[] = []): PeerOptions {
  const options: PeerOptions = {
    handshakeUpTo: 'open',
    isByHand: false,
    without: [],
    user: 'guest',
    virtualHost: '/',
    tuning: {},
  };
  for (const word of words) {
    const [first, second] = word.split(' ');
    const place = /^(user|virtualHost)=(.+)$/.exec(word);
    const tuning = /^(channelMax|frameMax|heartbeat)=(\d+)$/.exec(word);
    if (word === 'bare') options.handshakeUpTo = 'nothing';
    else if (word === 'up to start') options.handshakeUpTo = 'start';
    else if (word === 'up to tune') options.handshakeUpTo = 'tune';
    else if (word === 'by hand') options.isByHand = true;
    else if (first === 'without') options.without.push(second!);
    else if (place) options[place[1] as 'user'] = place[2]!;
    else if (tuning) options.tuning[tuning[1] as 'heartbeat'] = Number(tuning[2]);
    else throw new Error(`unknown option of a connection: '${word}'`);
  }
  return options;
}

const CAPABILITIES = ['consumer_cancel_notify', 'connection.blocked', 'authentication_failure_close'];
/** A broker that stays silent for so long has nothing to say. */
const WAIT_MS_MAX = 30_000;

interface Said {
  channel: number;
  name: string;
  text: string;
  /** A step of the dialogue has waited for it. */
  isTaken: boolean;
}

/** What was waited for did not come. */
export class Silence extends Error {}

/** One connection of a dialogue: sends its lines, keeps what it hears. */
export class Peer {
  readonly said: Said[] = [];
  /** Last reply-to and queue name heard, for `$replyTo` and `$queue`. */
  readonly heard: { replyTo: string; queue: string };
  #socket!: Socket;
  readonly #openChannels = new Set<number>();
  readonly #ledgers = new Map<number, ConfirmLedger>();
  readonly #contents = new Map<number, Content>();
  readonly #parser = new FrameParser(0, (type, channel, bytes, start, end) =>
    this.#onFrame(type, channel, Buffer.from(bytes.subarray(start, end))),
  );
  #frameMax = 131_072;
  #isSilent = false;
  #isEnded = false;
  #corked: Buffer[] = [];
  #wake = () => {};

  constructor(
    readonly name: string,
    private readonly options: PeerOptions,
    heard: { replyTo: string; queue: string },
  ) {
    this.heard = heard;
  }

  async connect({ host, port }: Address): Promise<void> {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on('error', () => {});
    await once(this.#socket, 'connect');
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on('close', () => {
      this.#isEnded = true;
      this.#keep(0, 'end', 'end');
    });
    await this.#handshake();
  }

  /** The dialogue makes the handshake, and all that follows, itself. */
  get #isBare(): boolean {
    return this.options.handshakeUpTo !== 'open';
  }

  /** Sends a line; it leaves with the next one unless `isLast`. Waits for its answer then. */
  async send(text: string, channel: number, isLast: boolean): Promise<void> {
    if (text === 'cut') {
      this.#socket.destroy();
      await this.#until(() => this.#isEnded, 'the end');
      return;
    }
    const { bytes, method, answers } = sendingOf(text, channel, this.#frameMax);
    if (channel > 0 && method !== undefined && method !== 'channel.open') await this.#openAsNeeded(channel);
    this.#note(method, channel);
    this.#corked.push(bytes);
    if (!isLast) return;
    this.#flush();
    if (answers.length > 0 && !this.#isBare) await this.waitFor(answers, channel, 1);
  }

  /** Waits until `count` of these came on the channel, or until it or the connection is closed. */
  async waitFor(names: readonly string[], channel: number, count: number): Promise<void> {
    this.#flush();
    for (let got = 0; got < count; got++) {
      let found: Said | undefined;
      await this.#until(() => {
        found = this.#findSaid(names, channel);
        return found !== undefined || this.#isEnded;
      }, names.join(' or '));
      if (found === undefined) return;
      found.isTaken = true;
      if (!names.includes(found.name)) return;
    }
  }

  /** Waits until so many publishes of the channel were confirmed or refused, counted from its confirm.select. */
  async waitForConfirms(channel: number, count: number): Promise<void> {
    this.#flush();
    const ledger = this.#ledgers.get(channel);
    if (!ledger) throw new Error('no confirm.select was sent on this channel');
    const isClosed = () => this.#isEnded || this.#findSaid([], channel) !== undefined;
    await this.#until(() => ledger.settledCount >= count || isClosed(), `${count} confirms`);
  }

  /** Closes what is open; what the broker still had to say is kept. */
  async finish(): Promise<void> {
    if (this.#isEnded) return;
    this.#flush();
    const isAlone = this.#isBare || this.options.isByHand;
    if (!this.options.isByHand && this.said.some(({ name }) => name === 'connection.close')) {
      await this.#until(() => this.#isEnded, 'the end');
      return;
    }
    if (isAlone) {
      await this.#leave();
      return;
    }
    for (const channel of [...this.#openChannels]) {
      await this.#calls(channel, 'channel.close', { replyCode: 200, replyText: '', classId: 0, methodId: 0 });
    }
    if (!this.#isEnded)
      await this.#calls(0, 'connection.close', { replyCode: 200, replyText: '', classId: 0, methodId: 0 });
    await this.#leave();
  }

  /** A client that has said its last word hears nothing more. */
  async #leave(): Promise<void> {
    this.destroy();
    await this.#until(() => this.#isEnded, 'the end');
  }

  destroy(): void {
    this.#isSilent = true;
    this.#socket?.destroy();
  }

  async #handshake(): Promise<void> {
    const { handshakeUpTo, without, user, virtualHost } = this.options;
    if (handshakeUpTo === 'nothing') return;
    const capabilities = CAPABILITIES.filter((name) => !without.includes(name));
    this.#socket.write(PROTOCOL_HEADER);
    await this.#silently('connection.start', 0);
    if (handshakeUpTo === 'start') return;
    this.#write(0, 'connection.start-ok', {
      clientProperties: tableOf({ capabilities: Object.fromEntries(capabilities.map((name) => [name, true])) }),
      mechanism: 'PLAIN',
      response: Buffer.from(`\0${user}\0${user}`),
      locale: 'en_US',
    });
    await this.#silently('connection.tune', 0);
    if (handshakeUpTo === 'tune') return;
    const tuning = { channelMax: 2047, frameMax: 131_072, heartbeat: 0, ...this.options.tuning };
    this.#frameMax = tuning.frameMax;
    this.#write(0, 'connection.tune-ok', tuning);
    this.#write(0, 'connection.open', { virtualHost });
    await this.#silently('connection.open-ok', 0);
  }

  /** Opens a channel the dialogue did not open. Frames gathered for it go first. */
  async #openAsNeeded(channel: number): Promise<void> {
    if (this.#isBare || this.options.isByHand || this.#openChannels.has(channel) || this.#isEnded) return;
    this.#flush();
    for (const each of this.said) if (each.channel === channel) each.isTaken = true;
    this.#write(channel, 'channel.open', {});
    await this.#silently('channel.open-ok', channel);
  }

  /** A call of the driver's own: its answer is not part of the transcript. */
  async #calls<Name extends MethodName>(channel: number, name: Name, args: MethodArguments<Name>): Promise<void> {
    this.#write(channel, name, args);
    await this.#silently(`${name}-ok`, channel);
  }

  async #silently(name: string, channel: number): Promise<void> {
    await this.waitFor([name], channel, 1);
    const at = this.said.findLastIndex((each) => each.name === name && each.channel === channel);
    if (at >= 0) this.said.splice(at, 1);
  }

  #write<Name extends MethodName>(channel: number, name: Name, args: MethodArguments<Name>): void {
    if (!this.#isEnded) this.#socket.write(encodeMethod(channel, name, args));
  }

  #flush(): void {
    if (this.#corked.length > 0 && !this.#isEnded) this.#socket.write(Buffer.concat(this.#corked));
    this.#corked = [];
  }

  #note(method: MethodName | undefined, channel: number): void {
    if (method === 'confirm.select' && !this.#ledgers.has(channel)) this.#ledgers.set(channel, new ConfirmLedger());
    if (method === 'basic.publish') this.#ledgers.get(channel)?.published();
    if (method === 'channel.close-ok') this.#openChannels.delete(channel);
  }

  /** One of the names, or what ends the channel or the connection. */
  #findSaid(names: readonly string[], channel: number): Said | undefined {
    return this.said.find(
      (each) =>
        !each.isTaken &&
        ((each.channel === channel && (names.includes(each.name) || each.name === 'channel.close')) ||
          (each.channel === 0 && (each.name === 'connection.close' || each.name === 'end'))),
    );
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + WAIT_MS_MAX;
    while (!holds()) {
      const left = deadline - Date.now();
      if (left <= 0) {
        this.#keep(0, 'silence', `(silence: ${what} did not come)`);
        throw new Silence(what);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #keep(channel: number, name: string, text: string): void {
    if (!this.#isSilent || name === 'silence') this.said.push({ channel, name, text, isTaken: false });
    this.#wake();
  }

  #onData(chunk: Buffer): void {
    if (chunk.subarray(0, 4).toString() === 'AMQP' && chunk.length >= PROTOCOL_HEADER.length) {
      const header = chunk.subarray(0, PROTOCOL_HEADER.length);
      this.#keep(0, 'protocol-header', `protocol-header AMQP ${[...header.subarray(4)].join(' ')}`);
      this.#parser.push(chunk.subarray(PROTOCOL_HEADER.length));
      return;
    }
    this.#parser.push(chunk);
  }

  #onFrame(type: number, channel: number, payload: Buffer): void {
    switch (type) {
      case FRAME_METHOD:
        this.#onMethod(channel, payload);
        return;
      case FRAME_HEADER:
        this.#onHeader(channel, payload);
        return;
      case FRAME_BODY:
        this.#onBody(channel, payload);
        return;
      case FRAME_HEARTBEAT:
        this.#keep(channel, 'heartbeat', 'heartbeat');
    }
  }

  #onMethod(channel: number, payload: Buffer): void {
    const { name, text, hasContent, args } = heardMethod(payload);
    if (hasContent) {
      this.#contents.set(channel, { name, text, properties: Buffer.alloc(0), bytesLeft: 0, bodies: [] });
      return;
    }
    const ledger = this.#ledgers.get(channel);
    if (ledger && (name === 'basic.ack' || name === 'basic.nack')) {
      for (const line of ledger.settle(name, Number(args['deliveryTag']), args['multiple'] === true)) {
        this.#keep(channel, name, line);
      }
      return;
    }
    this.#follow(channel, name, args);
    this.#keep(channel, name, text);
    // Who hangs up first after close-ok is of no interest: the client does.
    if (name === 'connection.close-ok') this.destroy();
  }

  /** What a client does by itself: remembers, and answers closes. */
  #follow(channel: number, name: string, args: Record<string, unknown>): void {
    if (name === 'queue.declare-ok') this.heard.queue = args['queue'] as string;
    if (name === 'channel.open-ok') this.#openChannels.add(channel);
    if (name === 'channel.close' || name === 'channel.close-ok') this.#forget(channel);
    if (this.options.isByHand) return;
    if (name === 'channel.close') this.#write(channel, 'channel.close-ok', {});
    if (name === 'connection.close') this.#write(0, 'connection.close-ok', {});
  }

  #forget(channel: number): void {
    this.#openChannels.delete(channel);
    this.#ledgers.delete(channel);
  }

  #onHeader(channel: number, payload: Buffer): void {
    const content = this.#contents.get(channel);
    if (!content) {
      this.#keep(channel, 'stray', 'a content header without a method');
      return;
    }
    content.properties = payload.subarray(12);
    content.bytesLeft = Number(payload.readBigUInt64BE(4));
    if (content.bytesLeft === 0) this.#onContent(channel, content);
  }

  #onBody(channel: number, payload: Buffer): void {
    const content = this.#contents.get(channel);
    if (!content) {
      this.#keep(channel, 'stray', 'a body without a method');
      return;
    }
    content.bodies.push(payload);
    content.bytesLeft -= payload.length;
    if (content.bytesLeft <= 0) this.#onContent(channel, content);
  }

  #onContent(channel: number, { name, text, properties, bodies }: Content): void {
    this.#contents.delete(channel);
    this.heard.replyTo = replyToOf(properties) ?? this.heard.replyTo;
    this.#keep(channel, name, text + textOfContent(properties, bodies));
  }
}

interface Content {
  name: string;
  text: string;
  properties: Buffer;
  bytesLeft: number;
  bodies: Buffer[];
}
