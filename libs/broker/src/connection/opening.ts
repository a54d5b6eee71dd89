import { type Method, type MethodArguments, type MethodName, PROTOCOL_HEADER } from '#amqp-codec';
import { ConnectionError, REPLY_CODES } from '../errors.js';
import type { BrokerLog } from '../log.js';
import { cutText } from './close.js';
import type { ConnectionContext, Peer, ServedVirtualHost } from './connection-context.js';
import {
  type ClientProfile,
  credentialsOf,
  judgeProtocolHeader,
  LOCALES,
  MECHANISMS,
  negotiate,
  profileOf,
  REFUSAL_DELAY_MS,
  serverProperties,
  type Tuning,
} from './handshake.js';
import { checkConnectionLimits } from './limits.js';

/** Who it is, known from start-ok on. */
export interface Login {
  readonly user: string;
  readonly mechanism: string;
  readonly client: ClientProfile;
}

/** What the handshake came to. */
export interface Opened {
  readonly login: Login;
  readonly tuning: Tuning;
  readonly served: ServedVirtualHost;
}

/** What the handshake needs of its connection. */
export interface OpeningConnection {
  send<Name extends MethodName>(name: Name, args: MethodArguments<Name>): void;
  /** Goes on with the outcome, at once or later, unless the connection has ended; until then nothing is read. */
  answer(outcome: boolean | Promise<boolean>, next: (outcome: boolean) => void): void;
  /** Sent instead of an answer to bytes that are no AMQP, and then the end. */
  refuse(bytes: Buffer): void;
  /** Whatever the client still says is not heard. */
  stopReading(): void;
  /** The last word was said. */
  finish(): void;
  tuned(tuning: Tuning): void;
  /** The client is told open-ok next. */
  opened(opened: Opened): void;
  log(level: keyof BrokerLog, fields: object, text: string): void;
}

/** Only the method that is due is accepted. */
type Step =
  | { readonly at: 'awaiting-protocol-header'; readonly bytes: Buffer }
  | { readonly at: 'awaiting-start-ok' }
  | { readonly at: 'checking-login' }
  | { readonly at: 'awaiting-tune-ok'; readonly login: Login }
  | { readonly at: 'awaiting-open'; readonly login: Login; readonly tuning: Tuning }
  | { readonly at: 'checking-access' };

/** RabbitMQ's words for the steps, in its error texts. */
const STEP_NAMES: Record<Step['at'], string> = {
  'awaiting-protocol-header': 'pre_init',
  'awaiting-start-ok': 'starting',
  'checking-login': 'starting',
  'awaiting-tune-ok': 'tuning',
  'awaiting-open': 'opening',
  'checking-access': 'opening',
};

/** The handshake of one connection, from its first byte to open-ok. Drawn in `handshake.ts`. */
export class Opening {
  #step: Step = { at: 'awaiting-protocol-header', bytes: Buffer.alloc(0) };

  constructor(
    private readonly connection: OpeningConnection,
    private readonly peer: Peer,
    private readonly context: ConnectionContext,
  ) {}

  get name(): string {
    return STEP_NAMES[this.#step.at];
  }

  /** Takes the protocol header off what came in. Answers what is to be read as frames; undefined: nothing yet, or never. */
  takeHeader(chunk: Buffer): Buffer | undefined {
    if (this.#step.at !== 'awaiting-protocol-header') return chunk;
    const bytes = Buffer.concat([this.#step.bytes, chunk]);
    switch (judgeProtocolHeader(bytes)) {
      case 'incomplete':
        this.#step = { at: 'awaiting-protocol-header', bytes };
        return undefined;
      case 'refused':
        this.connection.refuse(PROTOCOL_HEADER);
        return undefined;
      case 'accepted':
        this.#step = { at: 'awaiting-start-ok' };
        this.connection.send('connection.start', {
          versionMajor: 0,
          versionMinor: 9,
          serverProperties: serverProperties(this.context.clusterName, this.context.behaviour.version),
          mechanisms: Buffer.from(MECHANISMS),
          locales: Buffer.from(LOCALES),
        });
        return bytes.subarray(PROTOCOL_HEADER.length);
    }
  }

  /** Throws ConnectionError for a method out of turn. */
  onMethod(method: Method): void {
    const step = this.#step;
    switch (step.at) {
      case 'awaiting-start-ok':
        if (method.name === 'connection.start-ok') {
          this.#onStartOk(method.args);
          return;
        }
        break;
      case 'awaiting-tune-ok':
        if (method.name === 'connection.tune-ok') {
          this.#onTuneOk(method.args, step.login);
          return;
        }
        break;
      case 'awaiting-open':
        if (method.name === 'connection.open') {
          this.#onOpen(method.args, step.login, step.tuning);
          return;
        }
        break;
    }
    throw unexpectedMethod(method.name, this.name);
  }

  #onStartOk(args: MethodArguments<'connection.start-ok'>): void {
    const { user, password } = credentialsOf(args.mechanism, args.response);
    const login: Login = { user, mechanism: args.mechanism, client: profileOf(args.clientProperties) };
    this.#step = { at: 'checking-login' };
    this.connection.answer(this.context.users.authenticate(user, password, this.peer.remoteAddress), (isAccepted) => {
      if (!isAccepted) {
        this.#refuseLogin(login);
        return;
      }
      this.#step = { at: 'awaiting-tune-ok', login };
      this.connection.send('connection.tune', this.context.tuning);
    });
  }

  #refuseLogin(login: Login): void {
    this.connection.log('warn', { user: login.user, mechanism: login.mechanism }, 'login refused');
    this.connection.stopReading();
    if (login.client.hearsAuthenticationFailure) {
      const [replyCode, name] = REPLY_CODES['access-refused'];
      const text = `Login was refused using authentication mechanism ${login.mechanism}. For details see the broker logfile.`;
      const replyText = cutText(`${name} - ${text}`);
      this.connection.send('connection.close', { replyCode, replyText, classId: 0, methodId: 0 });
    }
    setTimeout(() => this.connection.finish(), REFUSAL_DELAY_MS).unref();
  }

  #onTuneOk(answer: MethodArguments<'connection.tune-ok'>, login: Login): void {
    const tuning = negotiate(this.context.tuning, answer, this.context.behaviour.frameBytesMin);
    this.#step = { at: 'awaiting-open', login, tuning };
    this.connection.tuned(tuning);
  }

  #onOpen(args: MethodArguments<'connection.open'>, login: Login, tuning: Tuning): void {
    const { census, users } = this.context;
    checkConnectionLimits(this.#virtualHostNamed(args.virtualHost).virtualHost, login.user, users, census);
    this.#step = { at: 'checking-access' };
    this.connection.answer(users.mayAccess(login.user, args.virtualHost), (isAllowed) => {
      if (!isAllowed) {
        throw new ConnectionError(
          'not-allowed',
          `access to vhost '${args.virtualHost}' refused for user '${login.user}'`,
        );
      }
      // Asked for again: it may have been deleted meanwhile.
      this.connection.opened({ login, tuning, served: this.#virtualHostNamed(args.virtualHost) });
      this.connection.send('connection.open-ok', {});
    });
  }

  #virtualHostNamed(name: string): ServedVirtualHost {
    const served = this.context.findVirtualHost(name);
    if (served === undefined) throw new ConnectionError('not-allowed', `vhost ${name} not found`);
    return served;
  }
}

export function unexpectedMethod(name: MethodName, state: string): ConnectionError {
  return new ConnectionError('channel-error', `unexpected method in connection state ${state}: ${name}`);
}
