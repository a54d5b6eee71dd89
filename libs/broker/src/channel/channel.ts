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
 * The life of a channel. What belongs to a content that comes in is the assembler's state, and the choice between confirms and
 * transactions that of `Publishing`: both are unions of their own, and mean something in `open` only.
 *
 *   open         everything is served
 *   committing   tx.commit waits until the log is durable up to `upTo`; any frame meanwhile closes the connection
 *   closing      we sent channel.close; all is discarded until close-ok, because the client may have sent more before it knew
 *   closed       answers that come late find nobody
 *
 *   open ⇄ committing,  open | committing → closing → closed,  open | committing → closed
 */
type State =
  | { readonly at: 'open' }
  | { readonly at: 'committing'; readonly upTo: number }
  | { readonly at: 'closing' }
  | { readonly at: 'closed' };

// One object each: a frame is let in by comparing a reference.
const OPEN: State = { at: 'open' };
const CLOSING: State = { at: 'closing' };
const CLOSED: State = { at: 'closed' };

/** An AMQP channel. Its connection owns it and hands it frames. */
export class Channel {
  readonly publishing: Publishing;
  readonly deliveries: Deliveries;
  /** What an empty queue name stands for: the queue last declared here. */
  lastQueue = '';
  /** Class and number of the method at hand, for the close that may follow. */
  methodKey = 0;
  /** Set while the connection has this channel on its list for the end of the read. */
  isOnReadList = false;
  #state: State = OPEN;
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

  /** Answers may still be sent on it. */
  get isAlive(): boolean {
    return this.#state.at === 'open' || this.#state.at === 'committing';
  }

  /** Throws ChannelError, ConnectionError or CodecError; what to close is for the connection to say. */
  onFrame(type: number, bytes: Buffer, start: number, end: number): void {
    if (this.#state !== OPEN) {
      this.#onFrameWhileNotOpen(this.#state, type, bytes, start, end);
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

  #onFrameWhileNotOpen(state: State, type: number, bytes: Buffer, start: number, end: number): void {
    const key = type === FRAME_METHOD ? peekMethodKey(bytes, start, end) : 0;
    if (state.at !== 'committing') {
      if (type === FRAME_METHOD) this.#onMethodWhileClosing(key);
      return;
    }
    this.methodKey = key;
    if (type !== FRAME_METHOD) this.publishing.assembler.refuse();
    throw new ConnectionError('channel-error', "unexpected command while processing 'tx.commit'");
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
    if (!this.isAlive) return;
    this.deliveries.flush();
    this.deliveries.wakeConsumers();
    this.#awaitLog(this.publishing.sendConfirms());
  }

  /** A sync of the log is done. */
  onDurable(): void {
    const state = this.#state;
    if (state.at === 'committing') this.sendCommitOkWhenDurable(state.upTo);
    else if (state.at === 'open') this.#awaitLog(this.publishing.sendConfirms());
  }

  /** A minute has passed. Throws ChannelError 406 when a delivery was held too long and that closes the channel. */
  onMinute(): void {
    if (this.isAlive) this.deliveries.onMinute();
  }

  /** commit-ok follows when the log is durable up to `offset`. */
  sendCommitOkWhenDurable(offset: number): void {
    if (offset <= this.host.durability.durable) {
      this.#state = OPEN;
      this.send('tx.commit-ok', {});
      return;
    }
    this.#state = { at: 'committing', upTo: offset };
    this.#awaitLog(offset);
  }

  /** We close it: all its effects are undone or done, and the client is told why. */
  fail(args: MethodArguments<'channel.close'>): void {
    this.#release(CLOSING);
    this.send('channel.close', args);
  }

  /** The client closed it. */
  close(): void {
    this.#release(CLOSED);
    this.send('channel.close-ok', {});
    this.host.forget(this);
  }

  /** The connection is gone. */
  abandon(): void {
    this.#release(CLOSED);
  }

  #release(next: State): void {
    const wasAlive = this.isAlive;
    this.#state = next;
    if (!wasAlive) return;
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
      this.#state = CLOSED;
      this.host.forget(this);
    }
  }
}
