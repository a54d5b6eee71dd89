import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import { asError, type BrokerConnection, type ConnectionPart } from './connection.js';
import type { MessagingLogger } from './logger.js';

/** Between losing a channel on a living connection (a queue missing, a consumer cancelled by the broker) and opening the next. */
const REOPEN_DELAY_MS = 500;
const CLOSE_TIMEOUT_MS = 2_000;

export interface KeptChannelOptions {
  logger: MessagingLogger;
  purpose: string;
  /** Makes the channel ready for use; when it throws, the channel is closed and opened anew later. */
  opened(channel: ConfirmChannel): Promise<void>;
  /** Called once for each channel that was opened: nothing sent or received on it counts any more. */
  lost(error: Error): void;
}

/** One AMQP channel of a connection, opened again whenever it or its connection is lost. Closed by its owner. */
export class KeptChannel implements ConnectionPart {
  private model: ChannelModel | undefined;
  private channel: ConfirmChannel | undefined;
  private reopenTimer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly options: KeptChannelOptions,
    private readonly mode: 'plain' | 'confirm' = 'plain',
  ) {
    connection.attach(this);
  }

  /** The channel, when it is ready. */
  get current(): ConfirmChannel | undefined {
    return this.channel;
  }

  opened(model: ChannelModel): Promise<void> {
    this.model = model;
    return this.open(model);
  }

  lost(error: Error): void {
    this.model = undefined;
    clearTimeout(this.reopenTimer);
    this.drop(error);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.reopenTimer);
    this.connection.detach(this);
    const { channel } = this;
    this.channel = undefined;
    if (!channel) return;

    // The connection may be going down already, which closes the channel as well.
    const closed = Promise.resolve(channel)
      .then((open) => open.close())
      .catch(() => {});
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())]);
    this.options.lost(new Error('channel closed'));
  }

  /** Gives this channel up and opens another. */
  replace(error: Error): void {
    const { channel } = this;
    if (!channel) return;

    this.drop(error);
    void Promise.resolve()
      .then(() => channel.close())
      .catch(() => {});
    this.reopenLater();
  }

  private async open(model: ChannelModel): Promise<void> {
    let channel: ConfirmChannel | undefined;
    try {
      channel = await this.create(model);
      const opened = channel;
      let reason: Error | undefined;
      opened.on('error', (error) => {
        reason = error;
      });
      opened.on('close', () => this.closed(opened, reason ?? new Error('channel closed')));
      await this.options.opened(opened);
      if (this.isClosed || this.model !== model || reason) {
        await opened.close().catch(() => {});
        if (reason) throw reason;
        return;
      }
      this.channel = opened;
    } catch (error) {
      this.options.lost(asError(error));
      if (this.model !== model) return;

      this.options.logger.warn({ error: asError(error).message }, `${this.options.purpose}: channel not opened`);
      void Promise.resolve(channel)
        .then((half) => half?.close())
        .catch(() => {});
      this.reopenLater();
    }
  }

  /** A plain channel is typed as a confirm channel; its owner publishes nothing on it that needs a confirm. */
  private async create(model: ChannelModel): Promise<ConfirmChannel> {
    if (this.mode === 'confirm') return model.createConfirmChannel();
    return (await model.createChannel()) as Channel as ConfirmChannel;
  }

  private closed(channel: ConfirmChannel, error: Error): void {
    if (this.channel !== channel) return;

    this.drop(error);
    // With its connection gone, `opened` comes again with the next one.
    this.reopenLater();
  }

  private drop(error: Error): void {
    if (!this.channel) return;

    this.channel = undefined;
    this.options.lost(error);
  }

  private reopenLater(): void {
    clearTimeout(this.reopenTimer);
    this.reopenTimer = setTimeout(() => {
      if (this.model && !this.isClosed && !this.channel) void this.open(this.model);
    }, REOPEN_DELAY_MS);
  }
}
