import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import { Arrivals } from '../arrivals.js';
import { freePort, listen } from '../free-port.js';

export interface SmtpServerOptions {
  /** 0 or unset: a free port. */
  port?: number;
  /** Asked at each RCPT TO; an answer refuses that recipient. */
  onRecipient?: (address: string) => SmtpAnswer | undefined;
  /** Set: clients must log in so. */
  auth?: { user: string; password: string };
}

export interface SmtpAnswer {
  code: number;
  text: string;
}

export type SmtpStage = 'mail' | 'recipient' | 'data';

export interface ReceivedMail {
  /** Envelope recipients that were accepted. */
  recipients: string[];
  sender: string;
  subject: string;
  text: string;
  html: string;
  messageId: string;
  /** Value of X-Tocsin-Notification, or ''. */
  notificationId: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  raw: string;
}

/**
 * What the server does instead of answering: once a message is complete (it is taken and collected, but its sender never learns), or
 * at the next connection.
 */
export type SmtpFault = 'drop-after-data' | 'hang-after-data' | 'no-greeting';

/** A real SMTP server on 127.0.0.1 that collects parsed mails and refuses as told. The caller stops it. */
export interface SmtpSimulator {
  readonly port: number;
  /** `smtp://127.0.0.1:<port>` */
  readonly url: string;
  readonly mails: ReceivedMail[];
  /** Connections accepted so far, over all starts. */
  readonly connections: number;
  /** Refuses the next message so, at RCPT TO unless a stage is named. */
  answerNext(code: number, text: string, stage?: SmtpStage): void;
  /** Refuses every message so until `accept()`. */
  answerAll(code: number, text: string, stage?: SmtpStage): void;
  accept(): void;
  faultNext(fault: SmtpFault): void;
  waitForMails(count: number, timeoutMs: number): Promise<ReceivedMail[]>;
  /** Waits until `count` different notifications arrived. */
  waitForNotifications(count: number, timeoutMs: number): Promise<ReceivedMail[]>;
  /** Mails beyond the first with the same Message-ID; with the same X-Tocsin-Notification. */
  duplicates(): { byMessageId: number; byNotification: number };
  clear(): void;
  /** Ends all connections and stops listening: clients are refused. */
  stop(): Promise<void>;
  /** Listens again on the same port. */
  start(): Promise<void>;
}

export async function startSmtpServer(options: SmtpServerOptions = {}): Promise<SmtpSimulator> {
  const simulator = new CollectingSmtpServer(options);
  await simulator.start();
  return simulator;
}

class CollectingSmtpServer implements SmtpSimulator {
  port: number;
  connections = 0;
  readonly #arrivals = new Arrivals<ReceivedMail>('mails');
  #server: SMTPServer | undefined;
  #refuseNext: (SmtpAnswer & { stage: SmtpStage }) | undefined;
  #refuseAll: (SmtpAnswer & { stage: SmtpStage }) | undefined;
  #fault: SmtpFault | undefined;

  constructor(private readonly options: SmtpServerOptions) {
    this.port = options.port ?? 0;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  get mails(): ReceivedMail[] {
    return this.#arrivals.items;
  }

  answerNext(code: number, text: string, stage: SmtpStage = 'recipient'): void {
    this.#refuseNext = { code, text, stage };
  }

  answerAll(code: number, text: string, stage: SmtpStage = 'recipient'): void {
    this.#refuseAll = { code, text, stage };
  }

  accept(): void {
    this.#refuseNext = undefined;
    this.#refuseAll = undefined;
  }

  faultNext(fault: SmtpFault): void {
    this.#fault = fault;
  }

  waitForMails(count: number, timeoutMs: number): Promise<ReceivedMail[]> {
    return this.#arrivals.waitForCount(count, timeoutMs);
  }

  waitForNotifications(count: number, timeoutMs: number): Promise<ReceivedMail[]> {
    const isEnough = (mails: readonly ReceivedMail[]) =>
      new Set(mails.map((mail) => mail.notificationId)).size >= count;
    return this.#arrivals.waitUntil(isEnough, timeoutMs, `mails of ${count} notifications`);
  }

  duplicates(): { byMessageId: number; byNotification: number } {
    return {
      byMessageId: repeatsIn(this.mails.map((mail) => mail.messageId)),
      byNotification: repeatsIn(this.mails.map((mail) => mail.notificationId).filter((id) => id !== '')),
    };
  }

  clear(): void {
    this.#arrivals.clear();
  }

  async start(): Promise<void> {
    const { auth } = this.options;
    const server = new SMTPServer({
      // Without a certificate of its own STARTTLS would fail the client's check.
      disabledCommands: auth ? ['STARTTLS'] : ['STARTTLS', 'AUTH'],
      authOptional: auth === undefined,
      allowInsecureAuth: true,
      disableReverseLookup: true,
      closeTimeout: CLOSE_TIMEOUT_MS,
      onConnect: (_session, done) => {
        this.connections += 1;
        if (this.#takeFault('no-greeting')) return;
        done();
      },
      onAuth: (login, _session, done) => {
        if (login.username === auth?.user && login.password === auth?.password) done(null, { user: login.username });
        else done(refusal({ code: 535, text: '5.7.8 Authentication credentials invalid' }));
      },
      onMailFrom: (_address, _session, done) => done(this.#refusalAt('mail')),
      onRcptTo: (address, _session, done) => {
        const refused = this.options.onRecipient?.(address.address);
        done(refused ? refusal(refused) : this.#refusalAt('recipient'));
      },
      onData: (stream, session, done) => {
        this.#receive(stream, session, done).catch((error: Error) => done(error));
      },
    });
    // A client that goes away in the middle of a command is no failure of the simulator.
    server.on('error', () => undefined);
    if (this.port === 0) this.port = await freePort();
    await listen(server.server, this.port);
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;

    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.#dropConnections(server);
    await closed;
  }

  async #receive(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    done: (error?: Error | null, message?: string) => void,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const refused = this.#refusalAt('data');
    if (refused) return done(refused);

    const mail = await toMail(Buffer.concat(chunks), session);
    this.#arrivals.add(mail);
    if (this.#takeFault('hang-after-data')) return;
    if (this.#takeFault('drop-after-data')) {
      if (this.#server) this.#dropConnections(this.#server);
      return;
    }
    done(null, 'OK: taken');
  }

  #takeFault(fault: SmtpFault): boolean {
    if (this.#fault !== fault) return false;

    this.#fault = undefined;
    return true;
  }

  #refusalAt(stage: SmtpStage): Error | null {
    if (this.#refuseNext?.stage === stage) {
      const next = this.#refuseNext;
      this.#refuseNext = undefined;
      return refusal(next);
    }
    return this.#refuseAll?.stage === stage ? refusal(this.#refuseAll) : null;
  }

  #dropConnections(server: SMTPServer): void {
    for (const connection of server.connections) (connection as SmtpConnection)._socket?.destroy();
  }
}

/** smtp-server shows no public way to cut a connection. */
type SmtpConnection = { _socket?: { destroy(): void } };

const CLOSE_TIMEOUT_MS = 1_000;

function refusal(answer: SmtpAnswer): Error {
  return Object.assign(new Error(answer.text), { responseCode: answer.code });
}

async function toMail(raw: Buffer, session: SMTPServerSession): Promise<ReceivedMail> {
  const email: Email = await PostalMime.parse(raw);
  const headers = Object.fromEntries(email.headers.map(({ key, value }) => [key.toLowerCase(), value]));
  return {
    recipients: session.envelope.rcptTo.map((recipient) => recipient.address),
    sender: session.envelope.mailFrom ? session.envelope.mailFrom.address : '',
    subject: email.subject ?? '',
    text: email.text ?? '',
    html: email.html ?? '',
    messageId: email.messageId ?? '',
    notificationId: headers['x-tocsin-notification'] ?? '',
    headers,
    raw: raw.toString('utf8'),
  };
}

function repeatsIn(names: readonly string[]): number {
  return names.length - new Set(names).size;
}
