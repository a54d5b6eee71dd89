import { createTransport, type SendMailOptions, type SMTPPoolSentMessageInfo, type Transporter } from 'nodemailer';
import addressparser from 'nodemailer/lib/addressparser';
import { type Outcome, type Sender, type SendRequest, TimeLimit } from '#dispatch';
import { providerMessage } from '../wording/provider-message.js';
import { classifyFailure, partlyAccepted, type SendingState, type SmtpFailure } from './classify.js';
import { renderMail } from './render.js';
import { readEmailTarget } from './target.js';

export interface EmailSettings {
  /** `smtp://user:password@host:587`; `smtps:` for TLS from the first byte. */
  url: string;
  /** `Tocsin <alerts@example.com>` */
  from: string;
  /** For each step: resolve, connect, greeting, answer to a command. */
  timeoutMs: number;
}

/** Connections to the server; further mails wait in the pool for one. */
const CONNECTIONS_MAX = 5;
/** Steps have time-outs of their own; this bounds a server that answers each of them late, and the wait for a connection. */
const SEND_STEPS_MAX = 4;

/** Sends mail over SMTP. Owns the connections; `close` ends them. */
export class EmailSender implements Sender {
  readonly channel = 'email';
  readonly #transporter: Transporter<SMTPPoolSentMessageInfo>;
  readonly #domain: string;

  constructor(private readonly settings: EmailSettings) {
    const { url, timeoutMs } = settings;
    this.#domain = domainOf(settings.from);
    this.#transporter = createTransport({
      url,
      pool: true,
      maxConnections: CONNECTIONS_MAX,
      // A repeat is an attempt of ours, counted and marked, never the pool's.
      maxRequeues: 0,
      dnsTimeout: timeoutMs,
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    // The pool reports a broken connection here as well; each mail on it has had its own answer.
    this.#transporter.on('error', () => undefined);
    this.#transporter.use('stream', (mail, done) => {
      const { onBodyStarted } = mail.data as TrackedMail;
      mail.message.processFunc((stream) => stream.once('resume', onBodyStarted));
      done();
    });
  }

  async send(request: SendRequest, signal: AbortSignal): Promise<Outcome> {
    const limit = new TimeLimit(signal, SEND_STEPS_MAX * this.settings.timeoutMs);
    let isBodyStarted = false;
    const mail = this.#compose(request, limit.signal, () => {
      isBodyStarted = true;
    });
    try {
      return accepted(await this.#transporter.sendMail(mail));
    } catch (error) {
      const state: SendingState = { isBodyStarted, isAborted: signal.aborted, isOverdue: limit.hasPassed };
      return classifyFailure(error as SmtpFailure, state);
    } finally {
      limit.release();
    }
  }

  async close(): Promise<void> {
    this.#transporter.close();
  }

  #compose(request: SendRequest, signal: AbortSignal, onBodyStarted: () => void): TrackedMail {
    const { to, cc, replyTo } = readEmailTarget(request.target);
    const { references, ...mail } = renderMail(request.envelope, request.mayRepeat, this.#domain);
    const thread = references === undefined ? {} : { references, inReplyTo: references };
    return { from: this.settings.from, to, cc, replyTo, ...mail, ...thread, signal, onBodyStarted };
  }
}

interface TrackedMail extends SendMailOptions {
  /** The server said 354 and the message text begins to flow: from here on it may be taken. */
  onBodyStarted: () => void;
}

function accepted(info: SMTPPoolSentMessageInfo): Outcome {
  // nodemailer resolves when at least one recipient was accepted.
  if (info.rejected.length > 0) return partlyAccepted(info.response, (info.rejectedErrors ?? []) as SmtpFailure[]);
  return { outcome: 'accepted', providerId: info.messageId, providerMessage: providerMessage(info.response) };
}

function domainOf(from: string): string {
  const address = addressparser(from, { flatten: true })[0]?.address ?? '';
  return /@([A-Za-z0-9.-]+)$/.exec(address)?.[1] ?? 'tocsin.invalid';
}
