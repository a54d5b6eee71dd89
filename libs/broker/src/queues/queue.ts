import type { Consumer, SettlementQueue } from '../consumer.js';
import { LEAD_MAX, QUICK_MS } from '../consumer-bias.js';
import { ChannelError } from '../errors.js';
import type { StoredBinding } from '../exchanges/binding.js';
import type { Destination } from '../exchanges/routing.js';
import type { Message } from '../message.js';
import type { Owner, QueueDeclaration, ReadyMessage } from '../virtual-host.js';
import { ACKS_PER_RECORD_MAX, Acks } from './acks.js';
import type { QueueSettings } from './arguments.js';
import { BodyLoader } from './body-loader.js';
import { BURIALS_WAITING_MAX, Burial } from './burial.js';
import { ConsumerSet } from './consumer-set.js';
import { consumerTimeoutOf } from './consumer-timeout.js';
import type { DeathReason } from './dead-letter.js';
import { failsForGood } from './delivery-limit.js';
import { ExpiryTimer, expiryOf } from './expiry.js';
import { Lease } from './lease.js';
import { isAtLimit } from './length-limit.js';
import { PriorityLevels } from './priority-levels.js';
import type { QueueHost } from './queue-host.js';
import { LOGGED, type QueueIndex, REDELIVERED } from './queue-index.js';

/** A queue this short keeps what is published to it in memory although its head has to be read back, and so comes to need no reading. */
const ALWAYS_KEPT_MESSAGES = 4096;
/** Deliveries of one queue before the others get their turn. */
const DELIVERIES_PER_RUN_MAX = 2048;
/** Messages in a row to one of very many consumers. */
const DELIVERIES_PER_TURN_MAX = 32;

export interface QueueProperties extends Omit<QueueDeclaration, 'passive' | 'exclusive'> {
  /** The connection that an exclusive queue belongs to. */
  readonly owner: Owner | undefined;
}

export interface QueueStats {
  name: string;
  ready: number;
  unacked: number;
  consumers: number;
  /** Body bytes, ready and unacked. After a restart record bytes, until the message has been read. */
  bytes: number;
}

/**
 * One queue. Messages live in the index (one per priority level), the records of durable ones in the log. Deliveries, dead-lettering and
 * expiry happen in `run`, once per tick; the virtual host makes and deletes it.
 */
export class Queue implements Destination, SettlementQueue {
  readonly kind = 'queue';
  visitedBy = 0;
  readonly incoming = new Set<StoredBinding>();
  readonly #levels: PriorityLevels;
  readonly #consumers: ConsumerSet;
  readonly #burial: Burial;
  readonly #loader: BodyLoader;
  readonly #lease: Lease;
  readonly #expiryTimer: ExpiryTimer;
  readonly #waitingGets: { noAck: boolean; onMessage: (ready: ReadyMessage | undefined) => void }[] = [];
  #isScheduled = false;
  #scheduledAt = 0;
  /** Since the last run: it may not have been told yet that it consumes. */
  #hasNewConsumer = false;
  #isDelivering = false;
  /** When a consumer settled something last. */
  #settledAt = 0;
  #isDeleted = false;

  constructor(
    readonly properties: QueueProperties,
    readonly settings: QueueSettings,
    /** Its number in the log; 0 for a queue that is not durable. */
    readonly number: number,
    private readonly host: QueueHost,
  ) {
    this.#levels = new PriorityLevels(settings.maxPriority);
    this.#expiryTimer = new ExpiryTimer(host.clock, () => this.schedule());
    this.#consumers = new ConsumerSet(settings.isSingleActiveConsumer);
    this.#loader = new BodyLoader(host, properties.name, (damaged) => this.#onLoaded(damaged));
    this.#burial = new Burial(host, {
      deadLetter: (message, reason) => host.deadLetter(this, message, reason),
      settle: (sequences) => this.#settleHeld(sequences),
      load: (entries) => this.#loader.loadEach(entries),
      schedule: () => this.schedule(),
    });
    this.#lease = new Lease(
      host.clock,
      settings.expiresMs,
      () => this.#consumers.count > 0,
      () => host.queueExpired(this),
    );
  }

  get name(): string {
    return this.properties.name;
  }

  get isDurable(): boolean {
    return this.number !== 0;
  }

  get consumerCount(): number {
    return this.#consumers.count;
  }

  /** What declare and delete answer: ready messages that have not expired. */
  get messageCount(): number {
    // A message that expires at once may still find its consumer in the coming run.
    if (this.#consumers.count === 0) this.#expireHeads(this.host.clock.now());
    return this.#levels.readyCount;
  }

  get stats(): QueueStats {
    let [ready, unacked, bytes] = [0, -this.#burial.count, 0];
    for (const level of this.#levels.all) {
      ready += level.readyCount;
      unacked += level.heldCount;
      bytes += level.readyBytes + level.heldBytes;
    }
    return { name: this.name, ready, unacked, consumers: this.#consumers.count, bytes };
  }

  /** Declared again or asked about. */
  renewLease(): void {
    this.#lease.renew();
  }

  // Storing

  /** The instant at which a message stored now would expire; 0 is never. */
  expiryOf(messageTtlMs: number | undefined): number {
    return expiryOf(this.settings, this.host.clock, messageTtlMs);
  }

  /** Whether a full queue with reject-publish turns the message away. */
  refuses(bodyBytes: number): boolean {
    if (this.settings.overflow === 'drop-head' || !this.#isAtLimit(1, bodyBytes)) return false;
    this.#deliverEarly();
    return this.#isAtLimit(1, bodyBytes);
  }

  /** `recordBytes` is 0 for a message that is not in the log. */
  enqueue(
    sequence: number,
    position: number,
    recordBytes: number,
    message: Message,
    expiresAt: number,
    priority: number,
  ): void {
    const level = this.#levels.of(priority);
    const isLogged = recordBytes > 0;
    if (!isLogged) this.host.memory.hold(message);
    // Behind others that must be read back it would only wait in memory for being let go of, unless the queue is short.
    const isWorthKeeping = level.readyCount < ALWAYS_KEPT_MESSAGES || level.isResident;
    const stays = !isLogged || (isWorthKeeping && this.host.memory.admit(message));
    const flags = isLogged ? LOGGED : 0;
    level.push(sequence, position, recordBytes, message.body.length, expiresAt, flags, stays ? message : undefined);

    if (this.#consumers.count > 0) this.schedule();
    if (this.#isAtLimit(0, 0)) {
      this.#deliverEarly();
      this.#dropOverflow();
    }
    if (expiresAt === 0) return;
    if (this.#consumers.count === 0) this.#expireHeads(this.host.clock.now());
    this.#expiryTimer.arm(this.#levels);
  }

  /** After a publish: a publisher that runs away from quick consumers has to give way to them. */
  noteLead(): void {
    if (this.#consumers.count === 0 || this.#levels.readyCount <= LEAD_MAX) return;
    // Where bodies must be read back, consumers wait for the disk and not for their turn.
    if (this.#levels.head?.isResident !== true) return;
    if (this.host.clock.now() - this.#settledAt <= QUICK_MS) this.host.consumerBias.overtook();
  }

  /** A message found in the log at start. */
  recover(
    sequence: number,
    position: number,
    recordBytes: number,
    bodyBytes: number,
    expiresAt: number,
    redelivered: boolean,
    priority: number,
  ): void {
    const level = this.#levels.of(priority);
    const flags = LOGGED | (redelivered ? REDELIVERED : 0);
    level.push(sequence, position, recordBytes, bodyBytes, expiresAt, flags, undefined);
  }

  /** All recovered: limits and expiry apply again. */
  recovered(): void {
    this.#dropOverflow();
    this.#expiryTimer.arm(this.#levels);
  }

  /** Whether the log's record for this queue is still needed. */
  isLive(sequence: number): boolean {
    return this.#levels.all.some((level) => level.find(sequence) !== -1);
  }

  moved(sequence: number, position: number): void {
    this.#levels.each([sequence], (level, ordinal) => level.movePosition(ordinal, position));
  }

  // Consuming

  addConsumer(consumer: Consumer): void {
    const { hasExclusive, count } = this.#consumers;
    const wantsAlone = consumer.exclusive && (count > 0 || this.settings.isSingleActiveConsumer);
    if (hasExclusive || wantsAlone) {
      throw new ChannelError(
        'access-refused',
        `queue '${this.name}' in vhost '${this.host.virtualHost}' in exclusive use`,
      );
    }
    this.#consumers.add(consumer);
    this.#hasNewConsumer = true;
    this.schedule();
  }

  /** Whether it was the last one and the queue is to be deleted with it. */
  removeConsumer(consumer: Consumer): boolean {
    if (!this.#consumers.remove(consumer)) return false;
    if (this.#consumers.count === 0) this.#lease.renew();
    this.schedule();
    return this.properties.autoDelete && this.#consumers.count === 0;
  }

  get(noAck: boolean, onMessage: (ready: ReadyMessage | undefined) => void): void {
    this.#lease.renew();
    this.#waitingGets.push({ noAck, onMessage });
    this.#serveGets();
    // What stood behind the message is the head now, and may have a time of its own to die.
    this.#expiryTimer.arm(this.#levels);
  }

  schedule(): void {
    if (this.#isScheduled || this.#isDeleted) return;
    this.#isScheduled = true;
    this.#scheduledAt = this.host.clock.now();
    this.host.tick.add(this);
  }

  run(): void {
    this.#isScheduled = false;
    this.#hasNewConsumer = false;
    // A failed log takes nothing more: what would be handed out now could not be settled.
    if (this.#isDeleted || this.host.log.failed !== undefined) return;
    this.#burial.work();
    this.#serveGets();
    this.#deliver();
    this.#expireHeads(this.host.clock.now());
    // Full of burials it would wake the queue for nothing: it is scheduled when there are less.
    if (this.#burial.count < BURIALS_WAITING_MAX) this.#expiryTimer.arm(this.#levels);
    for (const level of this.#levels.all) level.tidy();
  }

  // Leaving memory

  get looseCount(): number {
    let count = 0;
    for (const level of this.#levels.all) count += level.looseCount;
    return count;
  }

  relieve(messagesMax: number): number {
    const { memory } = this.host;
    let seen = 0;
    for (const level of this.#levels.all) {
      let ordinal = level.lastLooseBefore(level.back);
      while (ordinal !== -1 && seen < messagesMax && !memory.isRelaxed) {
        this.#leaveMemory(level, ordinal);
        seen++;
        ordinal = level.lastLooseBefore(ordinal);
      }
    }
    return seen;
  }

  // Settling

  timeoutMs(askedMs: number | undefined): number | undefined {
    return consumerTimeoutOf(this.settings, this.host.behaviour, this.host.consumerTimeoutMs, askedMs);
  }

  acknowledge(sequences: readonly number[]): void {
    this.#noteSettled(sequences.length);
    this.#settleHeld(sequences);
  }

  requeue(sequences: readonly number[], isFailure = true): void {
    const marked: number[] = [];
    this.#levels.each(sequences, (level, ordinal, sequence) => {
      if (!level.isHeld(ordinal)) return;
      level.markRedelivered(ordinal);
      if (level.isLogged(ordinal)) marked.push(sequence);
      if (isFailure && failsForGood(this.settings, level, ordinal)) this.#die(level, ordinal, 'delivery_limit');
      else level.restore(ordinal);
    });
    if (marked.length > 0) this.host.log.appendMarks(this.number, marked);
    this.#dropOverflow();
    this.schedule();
  }

  reject(sequences: readonly number[]): void {
    this.#noteSettled(sequences.length);
    if (!this.#deadLetters) {
      this.#settleHeld(sequences);
      return;
    }
    this.#levels.each(sequences, (level, ordinal) => {
      if (level.isHeld(ordinal)) this.#die(level, ordinal, 'rejected');
    });
    // At once: a publish behind the reject on its channel may be confirmed before the next tick, and then this must not come back.
    this.#burial.work();
  }

  /** Removes what is ready; deliveries that are out stay. Returns how many. */
  purge(): number {
    let purged = 0;
    for (const level of this.#levels.all) {
      const acks = new Acks();
      for (let ordinal = level.nextReady(); ordinal !== -1; ordinal = level.nextReady()) {
        acks.add(level, ordinal);
        this.#forget(level, ordinal);
        purged++;
        if (acks.count >= ACKS_PER_RECORD_MAX) acks.appendTo(this.host, this.number);
      }
      acks.appendTo(this.host, this.number);
      level.tidy();
    }
    return purged;
  }

  /** Everything in it is gone, without dead-lettering; consumers are told, whoever waits in a get finds it empty. */
  delete(): void {
    this.#isDeleted = true;
    this.#loader.stop();
    this.#burial.end();
    this.#lease.end();
    this.#expiryTimer.end();
    for (const level of this.#levels.all) {
      for (let ordinal = level.front; ordinal < level.back; ordinal++) this.#letGo(level, ordinal);
    }
    this.#levels.clear();
    if (this.isDurable) this.host.log.dropQueue(this.number);
    for (const { onMessage } of this.#waitingGets.splice(0)) onMessage(undefined);
    for (const consumer of this.#consumers.clear()) consumer.cancelledByServer();
  }

  /** The engine stops: no timer of this queue may fire any more. */
  stop(): void {
    this.#isDeleted = true;
    this.#loader.stop();
    this.#burial.end();
    this.#lease.end();
    this.#expiryTimer.end();
  }

  /** Before a limit is applied: what consumers have room for does not count as waiting, it only waits for the tick. */
  #deliverEarly(): void {
    if (this.#consumers.count > 0 && !this.#hasNewConsumer) this.#deliver();
  }

  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    const acks = new Acks();
    try {
      this.#deliverTo(acks);
    } finally {
      this.#isDelivering = false;
      acks.appendTo(this.host, this.number);
    }
  }

  #deliverTo(acks: Acks): void {
    const perTurn = this.#deliveriesPerTurn();
    for (let deliveries = 0; deliveries < DELIVERIES_PER_RUN_MAX; deliveries++) {
      const level = this.#levels.head;
      if (level === undefined) return;
      const ordinal = level.nextReady();
      // Against the time this run was asked for: what expires at once may still be taken by a consumer that has room now.
      const isExpired = level.expiresAt(ordinal) !== 0 && level.expiresAt(ordinal) < this.#scheduledAt;
      if (isExpired) {
        if (this.#burial.count >= BURIALS_WAITING_MAX) return;
        this.#removeReady(level, ordinal, 'expired', acks);
        continue;
      }
      const message = level.messageAt(ordinal);
      if (message === undefined) {
        if (this.#consumers.hasRoom) this.#loader.loadReady(level, ordinal);
        return;
      }
      const consumer = this.#consumers.takeTurn(perTurn);
      if (consumer === undefined) {
        this.#loader.readAhead(level, ordinal);
        return;
      }
      this.#handTo(consumer, level, ordinal, message, acks);
    }
    this.schedule();
  }

  /**
   * One by one, unless a run could not give each more than a few: a write for each message would then be all that the broker does. Nobody
   * gets in a row more than everybody's share of what is ready, so none goes idle for another's sake.
   */
  #deliveriesPerTurn(): number {
    const { count } = this.#consumers;
    if (count * DELIVERIES_PER_TURN_MAX <= DELIVERIES_PER_RUN_MAX) return 1;
    return Math.max(1, Math.min(DELIVERIES_PER_TURN_MAX, Math.floor(this.#levels.readyCount / count)));
  }

  #handTo(consumer: Consumer, level: QueueIndex, ordinal: number, message: Message, acks: Acks): void {
    const sequence = level.sequenceAt(ordinal);
    const redelivered = level.isRedelivered(ordinal);
    const failures = level.failuresAt(ordinal);
    this.#takeOut(level, ordinal, consumer.noAck, acks);
    consumer.deliver(this, sequence, message, redelivered, failures);
  }

  #serveGets(): void {
    if (this.#waitingGets.length === 0) return;
    this.#expireHeads(this.host.clock.now());
    while (this.#waitingGets.length > 0) {
      const level = this.#levels.head;
      if (level === undefined) {
        this.#waitingGets.shift()!.onMessage(undefined);
        continue;
      }
      const ordinal = level.nextReady();
      const message = level.messageAt(ordinal);
      if (message === undefined) {
        this.#loader.loadReady(level, ordinal);
        return;
      }
      const { noAck, onMessage } = this.#waitingGets.shift()!;
      const sequence = level.sequenceAt(ordinal);
      const redelivered = level.isRedelivered(ordinal);
      const failures = level.failuresAt(ordinal);
      const acks = new Acks();
      this.#takeOut(level, ordinal, noAck, acks);
      acks.appendTo(this.host, this.number);
      // What has come to the head may be expired: it does not count as left.
      this.#expireHeads(this.host.clock.now());
      onMessage({ queue: this, sequence, message, redelivered, failures, messageCount: this.#levels.readyCount });
    }
  }

  /** Ready → out with a consumer, or, without acknowledgements, gone. */
  #takeOut(level: QueueIndex, ordinal: number, noAck: boolean, acks: Acks): void {
    if (noAck) {
      this.#noteSettled(1);
      acks.add(level, ordinal);
      this.#forget(level, ordinal);
      return;
    }
    level.take(ordinal);
    if (level.isLogged(ordinal) && this.host.memory.isTight) this.#leaveMemory(level, ordinal);
  }

  #onLoaded(damaged: readonly number[]): void {
    if (damaged.length > 0) {
      const acks = new Acks();
      this.#levels.each(damaged, (level, ordinal) => {
        acks.add(level, ordinal);
        this.#forget(level, ordinal);
      });
      acks.appendTo(this.host, this.number);
      this.host.report(`queue '${this.name}': ${damaged.length} messages are damaged on disk and were given up`);
    }
    this.schedule();
  }

  // Dying

  get #deadLetters(): boolean {
    return this.settings.deadLetterExchange !== undefined;
  }

  #die(level: QueueIndex, ordinal: number, reason: DeathReason): void {
    this.#burial.add(level, level.sequenceAt(ordinal), reason);
  }

  /** Removes what has expired, from the head of each level only: a short TTL behind a long one waits, as in RabbitMQ. */
  #expireHeads(now: number): void {
    const acks = new Acks();
    for (const level of this.#levels.all) {
      if (!level.hasExpiries) continue;
      for (let ordinal = level.nextReady(); ordinal !== -1; ordinal = level.nextReady()) {
        const expiresAt = level.expiresAt(ordinal);
        if (expiresAt === 0 || expiresAt > now || this.#burial.count >= BURIALS_WAITING_MAX) break;
        this.#removeReady(level, ordinal, 'expired', acks);
      }
    }
    acks.appendTo(this.host, this.number);
  }

  #dropOverflow(): void {
    if (this.settings.overflow !== 'drop-head' || !this.#isAtLimit(0, 0)) return;
    const acks = new Acks();
    while (this.#isAtLimit(0, 0)) {
      const level = this.#levels.head!;
      this.#removeReady(level, level.nextReady(), 'maxlen', acks);
    }
    acks.appendTo(this.host, this.number);
    this.#expiryTimer.arm(this.#levels);
  }

  #removeReady(level: QueueIndex, ordinal: number, reason: DeathReason, acks: Acks): void {
    if (this.#deadLetters) {
      level.take(ordinal);
      this.#die(level, ordinal, reason);
      return;
    }
    acks.add(level, ordinal);
    this.#forget(level, ordinal);
    if (acks.count >= ACKS_PER_RECORD_MAX) acks.appendTo(this.host, this.number);
  }

  // Bookkeeping

  #noteSettled(count: number): void {
    this.#settledAt = this.host.clock.now();
    this.host.consumerBias.settled(count);
  }

  #isAtLimit(more: number, moreBytes: number): boolean {
    return isAtLimit(this.settings, this.#levels, more, moreBytes);
  }

  #settleHeld(sequences: readonly number[]): void {
    const acks = new Acks();
    this.#levels.each(sequences, (level, ordinal) => {
      if (!level.isHeld(ordinal)) return;
      acks.add(level, ordinal);
      this.#forget(level, ordinal);
    });
    acks.appendTo(this.host, this.number);
  }

  /** What the log has is dropped. Anything else must stay, but pins no more than it needs. */
  #leaveMemory(level: QueueIndex, ordinal: number): void {
    const message = level.messageAt(ordinal)!;
    if (level.isLogged(ordinal)) {
      level.setMessage(ordinal, undefined);
      this.host.memory.release(message);
    } else {
      level.keep(ordinal);
      this.host.memory.settle(message);
    }
  }

  #forget(level: QueueIndex, ordinal: number): void {
    this.#letGo(level, ordinal);
    level.settle(ordinal);
  }

  #letGo(level: QueueIndex, ordinal: number): void {
    const message = level.messageAt(ordinal);
    if (message !== undefined) this.host.memory.release(message);
  }
}
