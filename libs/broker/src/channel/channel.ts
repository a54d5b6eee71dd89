import {
  decodeMethod,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_METHOD,
  KEY_ACK,
  KEY_NACK,
  KEY_PUBLISH,
  KEY_REJECT,
  type Method,
  type MethodArguments,
  type MethodName,
  methodKey,
  peekMethodKey,
  SettlementReader,
} from '#amqp-codec';
import { ChannelError, ConnectionError } from '../errors.js';
import type { ChannelHost } from './channel-host.js';
import { Deliveries } from './deliveries.js';
import { handle } from './method-handlers.js';
import { Publishing } from './publishing.js';
import type { SettlementKind } from './transaction.js';

const KEY_OPEN = methodKey('channel.open');
const KEY_CLOSE_OK = methodKey('channel.close-ok');
const KEY_CLOSE = methodKey('channel.close');

const ACK_MULTIPLE = 1;
const NACK_MULTIPLE = 1;
const NACK_REQUEUE = 2;
const REJECT_REQUEUE = 1;

/**
 * An AMQP channel. Its connection owns it and hands it frames.
 *
 * `open`: everything is served. `closing`: we sent channel.close; all is discarded until close-ok, because the client may
 * have sent more before it knew. `closed`: answers that come late find nobody.
 */
export class Channel {
  readonly publishing: Publishing;
  readonly deliveries: Deliveries;
  /** What an empty queue name stands for: the queue last declared here. */
  lastQueue = '';
  /** Class and number of the method at hand, for the close that may follow. */
  methodKey = 0;
  /** Set while the connection has this channel on its list for the end of the read. */
  isOnReadList = false;
  #state: 'open' | 'closing' | 'closed' = 'open';
  readonly #settlement = new SettlementReader();

  constructor(
    readonly number: number,
    readonly host: ChannelHost,
  ) {
    this.deliveries = new Deliveries(number, host, () => host.callAtEndOfRead(this));
    this.publishing = new Publishing(number, host, {
      onPublish: () => {
        this.deliveries.flush();
        host.callAtEndOfRead(this);
      },
      replyAddress: () => this.deliveries.replyAddress,
    });
  }

  get state(): 'open' | 'closing' | 'closed' {
    return this.#state;
  }

  /** Throws ChannelError, ConnectionError or CodecError; what to close is for the connection to say. */
  onFrame(type: number, bytes: Buffer, start: number, end: number): void {
    if (this.#state !== 'open') {
      if (type === FRAME_METHOD) this.#onMethodWhileClosing(peekMethodKey(bytes, start, end));
      return;
    }
    switch (type) {
      case FRAME_METHOD:
        this.#onMethod(bytes, start, end);
        return;
      case FRAME_HEADER:
        this.#noteContent();
        this.publishing.assembler.header(bytes, start, end);
        return;
      case FRAME_BODY:
        this.#noteContent();
        this.publishing.assembler.body(bytes, start, end);
    }
  }

  /** A frame out of place between contents belongs to no method. */
  #noteContent(): void {
    if (this.publishing.assembler.isIdle) this.methodKey = 0;
  }

  send<Name extends MethodName>(name: Name, args: MethodArguments<Name>): void {
    this.host.output.send(this.number, name, args);
  }

  /** A queue named by the client; empty means the one last declared on this channel. Throws 404 when there is none. */
  queueNamed(name: string): string {
    if (name !== '') return name;
    if (this.lastQueue === '') throw new ChannelError('not-found', 'no previously declared queue');
    return this.lastQueue;
  }

  /** After the last frame of the bytes at hand. */
  endOfRead(): void {
    if (this.#state !== 'open') return;
    this.deliveries.flush();
    this.deliveries.wakeConsumers();
    this.#awaitLog(this.publishing.sendConfirms());
  }

  /** A sync of the log is done. */
  onDurable(): void {
    if (this.#state !== 'open') return;
    const { transaction } = this.publishing;
    const { durable } = this.host.durability;
    if (transaction?.committingUpTo !== undefined && transaction.committingUpTo <= durable) {
      transaction.committingUpTo = undefined;
      this.send('tx.commit-ok', {});
    }
    this.#awaitLog(this.publishing.sendConfirms() || (transaction?.committingUpTo ?? 0));
  }

  /** A minute has passed. Throws ChannelError 406 when a delivery was held too long and that closes the channel. */
  onMinute(): void {
    if (this.#state === 'open') this.deliveries.onMinute();
  }

  /** commit-ok follows when the log is durable up to `offset`. */
  sendCommitOkWhenDurable(offset: number): void {
    if (offset <= this.host.durability.durable) {
      this.send('tx.commit-ok', {});
      return;
    }
    this.publishing.transaction!.committingUpTo = offset;
    this.#awaitLog(offset);
  }

  /** We close it: all its effects are undone or done, and the client is told why. */
  fail(args: MethodArguments<'channel.close'>): void {
    this.#release('closing');
    this.send('channel.close', args);
  }

  /** The client closed it. */
  close(): void {
    this.#release('closed');
    this.send('channel.close-ok', {});
    this.host.forget(this);
  }

  /** The connection is gone. */
  abandon(): void {
    this.#release('closed');
  }

  #release(next: 'closing' | 'closed'): void {
    const wasOpen = this.#state === 'open';
    this.#state = next;
    if (!wasOpen) return;
    this.publishing.assembler.discard();
    const { transaction } = this.publishing;
    if (transaction !== undefined) {
      this.deliveries.restoreSettlements(transaction);
      transaction.clear();
    }
    this.deliveries.release();
  }

  #awaitLog(offset: number): void {
    if (offset === 0) return;
    this.host.durability.requestSync();
    this.host.awaitDurable(this);
  }

  #onMethod(bytes: Buffer, start: number, end: number): void {
    const key = peekMethodKey(bytes, start, end);
    // Before the number is noted: what is out of place here is the content of the method before.
    this.publishing.assembler.checkMethodIsDue();
    this.methodKey = key;
    const { transaction } = this.publishing;
    if (transaction?.committingUpTo !== undefined) {
      throw new ConnectionError('channel-error', "unexpected command while processing 'tx.commit'");
    }
    switch (key) {
      case KEY_PUBLISH:
        this.publishing.startPublish(bytes, start, end);
        return;
      case KEY_ACK:
        this.#settlement.read(bytes, start, end);
        this.#settle('ack', (this.#settlement.bits & ACK_MULTIPLE) !== 0);
        return;
      case KEY_NACK:
        this.#settlement.read(bytes, start, end);
        this.#settle(
          (this.#settlement.bits & NACK_REQUEUE) !== 0 ? this.#nackRequeue : 'reject',
          (this.#settlement.bits & NACK_MULTIPLE) !== 0,
        );
        return;
      case KEY_REJECT:
        this.#settlement.read(bytes, start, end);
        this.#settle((this.#settlement.bits & REJECT_REQUEUE) !== 0 ? 'requeue' : 'reject', false);
        return;
      default: {
        const method: Method = decodeMethod(bytes, start, end);
        this.deliveries.flush();
        handle(this, method);
      }
    }
  }

  get #nackRequeue(): SettlementKind {
    return this.host.behaviour.nackCountsAsFailure ? 'requeue' : 'return';
  }

  #settle(kind: SettlementKind, multiple: boolean): void {
    this.deliveries.settle(kind, this.#settlement.deliveryTag, multiple, this.publishing.transaction);
  }

  /** Both sides may have closed at once: then each close gets its close-ok. */
  #onMethodWhileClosing(key: number): void {
    if (key === KEY_OPEN) {
      this.methodKey = key;
      throw new ConnectionError('channel-error', "second 'channel.open' seen");
    }
    if (key === KEY_CLOSE) this.send('channel.close-ok', {});
    if (key === KEY_CLOSE_OK) {
      this.#state = 'closed';
      this.host.forget(this);
    }
  }
}
