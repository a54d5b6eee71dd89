import type { Duplex } from 'node:stream';
import {
  CodecError,
  decodeMethod,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FrameParser,
  HEARTBEAT_FRAME,
  type Method,
  type MethodArguments,
  type MethodName,
  methodKey,
  peekMethodKey,
} from '#amqp-codec';
import { GuardedVirtualHost } from '../access/guarded-virtual-host.js';
import { ALL_RIGHTS } from '../access/rights.js';
import type { DurabilityWaiter } from '../durability-watch.js';
import { ConnectionError, REPLY_CODES } from '../errors.js';
import type { BrokerLog } from '../log.js';
import { cutText, toClose } from './close.js';
import type { ConnectionContext, Peer } from './connection-context.js';
import { FlowControl, type HeldConnection } from './flow-control.js';
import { FRAME_MAX_BEFORE_TUNE, HANDSHAKE_MS_MAX, type Tuning } from './handshake.js';
import { startHeartbeat } from './heartbeat.js';
import { Intake } from './intake.js';
import { checkChannelLimit } from './limits.js';
import { type Login, type Opened, Opening, type OpeningConnection, unexpectedMethod } from './opening.js';
import { BACKLOG_BYTES_MAX, Output } from './output.js';
import { Session } from './session.js';

/** The life of a connection. In `closing` only close and close-ok are accepted; in `closed` nothing. */
type State =
  | { readonly at: 'opening'; readonly opening: Opening }
  | { readonly at: 'open'; readonly login: Login; readonly tuning: Tuning; readonly session: Session }
  | { readonly at: 'closing' }
  | { readonly at: 'closed' };

/** How long a client may take to answer connection.close, if its heartbeat is not shorter. */
const CLOSE_OK_MS_MAX = 30_000;
/** After the last word: time for the bytes to arrive before the socket is destroyed. */
const LINGER_MS = 1000;

/** One AMQP connection: heartbeats, closing; its handshake is in `Opening`, its channels in `Session`. It owns its socket. */
export class Connection implements DurabilityWaiter {
  readonly connectedAt = Date.now();
  readonly peer: Peer;
  bytesRead = 0;
  readonly #socket: Duplex;
  readonly #context: ConnectionContext;
  readonly #output: Output;
  readonly #intake: Intake;
  readonly #flow: FlowControl;
  readonly #parser: FrameParser;
  #state: State;
  #methodKey = 0;
  #sawInput = false;
  #stopHeartbeat = () => {};
  #deadline: NodeJS.Timeout | undefined;

  constructor(socket: Duplex, peer: Peer, context: ConnectionContext) {
    this.#socket = socket;
    this.peer = peer;
    this.#context = context;
    this.#state = { at: 'opening', opening: new Opening(this.#openingConnection(), peer, context) };
    this.#output = new Output(socket, () => this.#onDrain());
    this.#intake = new Intake(socket);
    this.#flow = new FlowControl(this.#heldConnection(), this.#intake, context);
    this.#parser = new FrameParser(FRAME_MAX_BEFORE_TUNE, (type, channel, bytes, start, end) =>
      this.#onFrame(type, channel, bytes, start, end),
    );
    context.counters.connectionsOpened++;
    this.#setDeadline(HANDSHAKE_MS_MAX, 'the handshake took too long');
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    // 'close' follows; a reset by the peer is everyday life.
    socket.on('error', (error) => this.#log('info', { error: error.message }, 'socket error'));
    socket.on('close', () => this.#onSocketClosed());
  }

  get name(): string {
    const { remoteAddress, remotePort, localAddress, localPort } = this.peer;
    return `${remoteAddress}:${remotePort} -> ${localAddress}:${localPort}`;
  }

  get output(): Output {
    return this.#output;
  }

  /** What the management page shows; undefined before the handshake is done. */
  get open(): { login: Login; tuning: Tuning; session: Session } | undefined {
    return this.#state.at === 'open' ? this.#state : undefined;
  }

  get flow(): 'running' | 'flow' | 'blocked' | 'closing' {
    if (this.#state.at === 'closing') return 'closing';
    return this.#flow.state;
  }

  /** Closes it from our side with 320; an unfinished handshake is just cut. The socket is gone some time later. */
  shutDown(text: string): void {
    if (this.#state.at !== 'open') {
      this.destroy();
      return;
    }
    const [replyCode, name] = REPLY_CODES['connection-forced'];
    this.#sendClose({ replyCode, replyText: cutText(`${name} - ${text}`), classId: 0, methodId: 0 });
  }

  destroy(): void {
    this.#output.stop();
    this.#socket.destroy();
  }

  onDurable(): boolean {
    if (this.#state.at !== 'open') return false;
    const isWaiting = this.#state.session.onDurable();
    return this.#flow.onDurable() || isWaiting;
  }

  /** A minute has passed. */
  onMinute(): void {
    const { open } = this;
    if (open !== undefined) this.#guard(() => open.session.onMinute());
  }

  /** The broker's alarm came or went. When it comes, a connection is blocked at its next publish. */
  onAlarm(): void {
    this.#flow.onAlarm();
  }

  #onData(chunk: Buffer): void {
    this.#sawInput = true;
    this.bytesRead += chunk.length;
    this.#read(() => {
      const frames = this.#state.at === 'opening' ? this.#state.opening.takeHeader(chunk) : chunk;
      if (frames !== undefined) this.#parser.push(frames);
    });
  }

  /** Reads, then does what was gathered for the end of a read. */
  #read(parse: () => void): void {
    try {
      parse();
    } catch (error) {
      // The parser has lost the frame boundaries: nothing that follows can be understood.
      this.#parser.stop();
      this.#fail(error, 0);
      this.#setDeadline(LINGER_MS, 'the frames of the stream were lost');
    }
    this.#guard(() => this.#endOfRead());
  }

  #endOfRead(): void {
    if (this.#state.at !== 'open') return;
    this.#state.session.endOfRead();
    this.#flow.onEndOfRead();
    if (this.#output.backlogBytes > BACKLOG_BYTES_MAX) this.#intake.hold('unread');
  }

  #onFrame(type: number, channel: number, bytes: Buffer, start: number, end: number): void {
    const state = this.#state;
    this.#methodKey = 0;
    try {
      if (type === FRAME_HEARTBEAT) {
        this.#onHeartbeatFrame(channel, end - start);
      } else if (channel === 0) {
        this.#onConnectionFrame(type, bytes, start, end);
      } else if (state.at === 'open') {
        this.#onChannelFrame(state.session, type, channel, bytes, start, end);
      } else if (state.at === 'opening') {
        throw new ConnectionError(
          'channel-error',
          `frame on channel ${channel} in connection state ${state.opening.name}`,
        );
      }
    } catch (error) {
      this.#fail(error, this.#methodKey);
    }
  }

  #onChannelFrame(session: Session, type: number, channel: number, bytes: Buffer, start: number, end: number): void {
    try {
      session.onFrame(type, channel, bytes, start, end);
    } catch (error) {
      this.#methodKey = session.methodKey;
      throw error;
    }
  }

  #onHeartbeatFrame(channel: number, payloadBytes: number): void {
    if (payloadBytes !== 0) throw new CodecError('frame', `heartbeat frame with a payload of ${payloadBytes} bytes`);
    if (channel !== 0) throw new ConnectionError('unexpected-frame', `heartbeat frame on channel ${channel}`);
  }

  #onConnectionFrame(type: number, bytes: Buffer, start: number, end: number): void {
    if (type !== FRAME_METHOD) {
      if (type > FRAME_HEARTBEAT || type === 0) throw new CodecError('frame', `unknown frame type ${type}`);
      throw new ConnectionError('unexpected-frame', `frame of type ${type} on channel 0, where only methods travel`);
    }
    this.#methodKey = peekMethodKey(bytes, start, end);
    if (this.#state.at === 'closing') {
      this.#onMethodWhileClosing(this.#methodKey);
      return;
    }
    if (this.#state.at !== 'closed') this.#onMethod(decodeMethod(bytes, start, end));
  }

  #onMethod(method: Method): void {
    const state = this.#state;
    if (method.name === 'connection.close') {
      this.#onClose();
      return;
    }
    if (state.at === 'opening') {
      state.opening.onMethod(method);
      return;
    }
    if (state.at !== 'open') return;
    if (method.name !== 'connection.update-secret') throw unexpectedMethod(method.name, 'running');
    this.#onUpdateSecret(method.args.newSecret, state.login, state.session);
  }

  #openingConnection(): OpeningConnection {
    return {
      send: (name, args) => this.#send(name, args),
      answer: (outcome, next) => this.#answer(outcome, next),
      refuse: (bytes) => {
        this.#output.write(bytes);
        this.#finish();
      },
      stopReading: () => this.#parser.stop(),
      finish: () => {
        if (this.#state.at !== 'closed') this.#finish();
      },
      tuned: ({ frameMax, heartbeat }) => {
        this.#parser.frameMax = frameMax;
        this.#stopHeartbeat = startHeartbeat(this.#heartbeatPeer(), heartbeat * 1000);
      },
      opened: (opened) => {
        clearTimeout(this.#deadline);
        const { login, tuning } = opened;
        this.#state = { at: 'open', login, tuning, session: this.#newSession(opened) };
      },
      log: (level, fields, text) => this.#log(level, fields, text),
    };
  }

  #onUpdateSecret(secret: Buffer, { user }: Login, session: Session): void {
    this.#answer(this.#context.users.acceptsSecret?.(user, secret.toString('utf8')) ?? true, (isAccepted) => {
      if (!isAccepted) throw new ConnectionError('not-allowed', 'New secret was refused by one of the backends');
      session.cancelForbidden();
      this.#send('connection.update-secret-ok', {});
    });
  }

  /** Goes on with the outcome, at once or later; until then nothing is read. */
  #answer(outcome: boolean | Promise<boolean>, next: (outcome: boolean) => void): void {
    if (typeof outcome === 'boolean') {
      next(outcome);
      return;
    }
    const key = this.#methodKey;
    this.#holdIntake();
    const goOn = (proceed: () => void) => {
      if (this.#state.at === 'closed' || this.#state.at === 'closing') return;
      this.#guard(proceed, key);
      this.#releaseIntake();
    };
    outcome.then(
      (value) => goOn(() => next(value)),
      (error: unknown) =>
        goOn(() => {
          throw error;
        }),
    );
  }

  #newSession({ served, login, tuning }: Opened): Session {
    const { watch, counters, messageBytesMax, users, census, behaviour } = this.#context;
    const { replies, virtualHost } = served;
    const rights = users.rightsIn?.(login.user, virtualHost.name) ?? ALL_RIGHTS;
    return new Session({
      behaviour,
      replies,
      rights,
      virtualHost: new GuardedVirtualHost(virtualHost, rights, login.user, behaviour.refusalNamesPermission),
      checkNewChannel: () => checkChannelLimit(login.user, users, census),
      durability: watch.durability,
      counters,
      output: this.#output,
      owner: this,
      user: login.user,
      frameMax: tuning.frameMax,
      channelMax: tuning.channelMax,
      messageBytesMax,
      hearsConsumerCancel: login.client.hearsConsumerCancel,
      awaitDurable: () => watch.add(this),
      holdIntake: () => this.#holdIntake(),
      releaseIntake: () => this.#releaseIntake(),
      published: () => this.#flow.onPublished(),
    });
  }

  #heldConnection(): HeldConnection {
    const connection = this;
    return {
      get mayBeBlocked() {
        return connection.#state.at === 'open';
      },
      tellBlocked: (reason) => {
        if (this.open?.login.client.hearsBlocked !== true) return false;
        this.#send('connection.blocked', { reason: cutText(reason) });
        return true;
      },
      tellUnblocked: () => this.#send('connection.unblocked', {}),
      awaitDurable: () => this.#context.watch.add(this),
    };
  }

  #holdIntake(): void {
    this.#parser.pause();
    this.#intake.hold('answer');
  }

  #releaseIntake(): void {
    this.#intake.release('answer');
    this.#read(() => this.#parser.resume());
  }

  #onDrain(): void {
    this.#intake.release('unread');
    if (this.#state.at === 'open') this.#state.session.onDrain();
  }

  #heartbeatPeer() {
    const connection = this;
    return {
      get isReading() {
        return !connection.#intake.isHeld;
      },
      takeInputSeen: () => {
        const saw = this.#sawInput;
        this.#sawInput = false;
        return saw;
      },
      takeOutputSeen: () => {
        const wrote = this.#output.wroteSomething;
        this.#output.wroteSomething = false;
        return wrote;
      },
      sendHeartbeat: () => this.#output.write(HEARTBEAT_FRAME),
      onSilence: () => {
        this.#log('warn', {}, 'missed heartbeats from client, closing its connection');
        this.destroy();
      },
    };
  }

  /** Runs what may close the connection outside of a frame. */
  #guard(action: () => void, key = 0): void {
    try {
      action();
    } catch (error) {
      this.#fail(error, key);
    }
  }

  /** Closes the connection because of an error. */
  #fail(error: unknown, key: number): void {
    if (this.#state.at === 'closing' || this.#state.at === 'closed') return;
    const close = toClose(error, key);
    if (close.isInternal) this.#log('error', { error }, 'internal error');
    else this.#log('warn', { reason: close.args.replyText }, 'closing connection');
    this.#sendClose(close.args);
  }

  /** All effects are undone first, then the client is told; it has a while to answer. */
  #sendClose(args: MethodArguments<'connection.close'>): void {
    const heartbeatMs = this.open === undefined ? 0 : this.open.tuning.heartbeat * 1000;
    this.#releaseSession();
    this.#state = { at: 'closing' };
    this.#flow.stop();
    this.#send('connection.close', args);
    const waitMs = heartbeatMs === 0 ? CLOSE_OK_MS_MAX : Math.min(heartbeatMs, CLOSE_OK_MS_MAX);
    this.#setDeadline(waitMs, 'the client did not answer connection.close');
  }

  /** Exclusive queues are gone before the client hears close-ok: it may declare them again at once. */
  #onClose(): void {
    this.#releaseSession();
    this.#send('connection.close-ok', {});
    this.#finish();
  }

  /** Both sides may close at once: the other's close is answered, its close-ok ends it. */
  #onMethodWhileClosing(key: number): void {
    if (key === KEY_CLOSE) this.#send('connection.close-ok', {});
    if (key === KEY_CLOSE_OK) this.#finish();
  }

  /** The last word is said. */
  #finish(): void {
    this.#state = { at: 'closed' };
    this.#parser.stop();
    this.#output.end();
    this.#setDeadline(LINGER_MS, undefined);
  }

  #onSocketClosed(): void {
    clearTimeout(this.#deadline);
    this.#stopHeartbeat();
    this.#releaseSession();
    this.#state = { at: 'closed' };
    this.#parser.stop();
    this.#output.stop();
    this.#context.watch.remove(this);
    this.#context.counters.connectionsClosed++;
    this.#context.onClosed(this);
  }

  #releaseSession(): void {
    if (this.#state.at !== 'open') return;
    const { session } = this.#state;
    this.#state = { at: 'closed' };
    try {
      session.release();
    } catch (error) {
      this.#log('error', { error }, 'internal error while a connection was released');
    }
  }

  /** Cuts the connection after a while, unless another deadline is set. */
  #setDeadline(ms: number, reason: string | undefined): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      if (reason !== undefined) this.#log('warn', {}, reason);
      this.destroy();
    }, ms);
    this.#deadline.unref();
  }

  #send<Name extends MethodName>(name: Name, args: MethodArguments<Name>): void {
    this.#output.send(0, name, args);
  }

  #log(level: keyof BrokerLog, fields: object, text: string): void {
    this.#context.log[level]({ connection: this.name, ...fields }, text);
  }
}

const KEY_CLOSE = methodKey('connection.close');
const KEY_CLOSE_OK = methodKey('connection.close-ok');
