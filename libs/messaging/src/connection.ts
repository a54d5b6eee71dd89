import { EventEmitter } from 'node:events';
import { type ChannelModel, connect } from 'amqplib';
import { withoutPassword } from './broker-urls.js';
import { TopologyError } from './errors.js';
import type { MessagingLogger } from './logger.js';
import { readTlsFiles, type TlsFiles } from './tls-files.js';

// Why an own loop and not amqplib's `recovery`: it knows one URL, a cluster has several nodes; and what hangs on a
// connection (publisher, consumers, replies) must learn of the loss at once, to say "unknown" about its publishes.

const CONNECT_TIMEOUT_MS = 10_000;
const RETRY_DELAY_MS_MIN = 100;
const RETRY_DELAY_MS_MAX = 5_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** Something that lives on a connection: opened on each new one, told of each loss. */
export interface ConnectionPart {
  /** Resolves when the part is ready, or has failed and tries again by itself; never rejects. */
  opened(model: ChannelModel): Promise<void>;
  lost(error: Error): void;
}

export interface ConnectionEvents {
  /** Connected, and everything that lives on the connection is ready. */
  connected: [];
  disconnected: [error: Error];
  blocked: [reason: string];
  unblocked: [];
  /** No reconnect will help; see `TopologyError`. */
  failed: [error: Error];
}

export interface ConnectionOptions {
  urls: readonly string[];
  /** Shown in the broker's management. */
  name: string;
  logger: MessagingLogger;
  tls?: TlsFiles | undefined;
  /** Runs on each new connection before its parts open. */
  prepare?: (model: ChannelModel) => Promise<void>;
}

type State =
  | { at: 'connecting' }
  | { at: 'connected'; model: ChannelModel; blockedFor: string | undefined }
  | { at: 'closed' };

/** Owns one AMQP connection and replaces it when it is lost, trying the nodes in turn. Closed by its Messaging. */
export class BrokerConnection extends EventEmitter<ConnectionEvents> {
  private state: State = { at: 'connecting' };
  private readonly parts = new Set<ConnectionPart>();
  private attempts = 0;
  private retryTimer: NodeJS.Timeout | undefined;
  /** Why the last attempt failed. */
  lastError: Error | undefined;

  constructor(private readonly options: ConnectionOptions) {
    super();
    void this.connect();
  }

  get isConnected(): boolean {
    return this.state.at === 'connected';
  }

  get isBlocked(): boolean {
    return this.state.at === 'connected' && this.state.blockedFor !== undefined;
  }

  attach(part: ConnectionPart): void {
    this.parts.add(part);
    if (this.state.at === 'connected') void part.opened(this.state.model);
  }

  detach(part: ConnectionPart): void {
    this.parts.delete(part);
  }

  async close(): Promise<void> {
    const { state } = this;
    this.state = { at: 'closed' };
    clearTimeout(this.retryTimer);
    if (state.at !== 'connected') return;

    // A blocked or dead broker answers no close; the socket then ends with the process.
    await Promise.race([state.model.close().catch(() => {}), deadline(CLOSE_TIMEOUT_MS)]);
    for (const part of this.parts) part.lost(new Error('connection closed'));
  }

  private async connect(): Promise<void> {
    const { urls, name, logger, tls = {}, prepare } = this.options;
    const url = urls[this.attempts % urls.length] as string;
    let model: ChannelModel | undefined;
    try {
      model = await connect(url, {
        ...(await readTlsFiles(tls)),
        noDelay: true,
        timeout: CONNECT_TIMEOUT_MS,
        clientProperties: { connection_name: name },
      });
      const lost = this.watch(model);
      await Promise.race([prepare?.(model), lost.then((error) => Promise.reject(error))]);
      if (this.isClosed()) return void model.close().catch(() => {});
      void lost.then((error) => this.lost(error));
    } catch (error) {
      this.lastError = asError(error);
      model?.close().catch(() => {});
      if (error instanceof TopologyError) {
        this.state = { at: 'closed' };
        this.emit('failed', error);
        return;
      }
      logger.warn({ url: withoutPassword(url), error: this.lastError.message }, `${name}: no connection to the broker`);
      return this.retry();
    }
    await this.opened(model);
  }

  /** Resolves when the connection is gone; listens from the first moment, so that no loss stays unseen. */
  private watch(model: ChannelModel): Promise<Error> {
    return new Promise((resolve) => {
      let reason: Error | undefined;
      model.on('error', (error) => {
        reason = error;
      });
      model.on('close', (error) => resolve(reason ?? error ?? new Error('connection closed by the broker')));
      model.on('blocked', (why) => this.blocked(model, why));
      model.on('unblocked', () => this.blocked(model, undefined));
    });
  }

  private async opened(model: ChannelModel): Promise<void> {
    this.attempts = 0;
    this.lastError = undefined;
    this.state = { at: 'connected', model, blockedFor: undefined };
    await Promise.all([...this.parts].map((part) => part.opened(model)));
    if (this.state.at === 'connected' && this.state.model === model) this.emit('connected');
  }

  private lost(error: Error): void {
    if (this.isClosed()) return;

    this.state = { at: 'connecting' };
    this.lastError = error;
    this.options.logger.warn({ error: error.message }, `${this.options.name}: connection to the broker lost`);
    for (const part of this.parts) part.lost(error);
    this.emit('disconnected', error);
    this.retry();
  }

  private retry(): void {
    if (this.isClosed()) return;

    const delayMs = Math.min(RETRY_DELAY_MS_MIN * 2 ** this.attempts, RETRY_DELAY_MS_MAX);
    this.attempts += 1;
    this.retryTimer = setTimeout(() => void this.connect(), delayMs * (0.8 + Math.random() * 0.4));
  }

  private blocked(model: ChannelModel, reason: string | undefined): void {
    if (this.state.at !== 'connected' || this.state.model !== model) return;

    this.state = { ...this.state, blockedFor: reason };
    if (reason === undefined) this.emit('unblocked');
    else this.emit('blocked', reason);
  }

  /** A method, because the state changes while `connect` awaits. */
  private isClosed(): boolean {
    return this.state.at === 'closed';
  }
}

function deadline(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
