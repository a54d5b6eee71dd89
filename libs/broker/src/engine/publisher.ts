import { peekDeliveryMode, peekProperty } from '#amqp-codec';
import type { Placement } from '#segment-log';
import type { Exchange } from '../exchanges/exchange.js';
import { route } from '../exchanges/router.js';
import { ReceivedHeaders } from '../exchanges/routing.js';
import type { Message } from '../message.js';
import type { Clock } from '../queues/clock.js';
import { type DeathReason, deadLetterOf, isAutomaticCycle } from '../queues/dead-letter.js';
import { readExpirationMs } from '../queues/expiration.js';
import type { Queue } from '../queues/queue.js';
import type { BurialResult } from '../queues/queue-host.js';
import type { MessageLog } from '../store/message-log.js';
import { encodeMessage } from '../store/message-record.js';
import type { PublishResult } from '../virtual-host.js';

const PERSISTENT = 2;

/** Gives out sequence numbers, growing over all queues and restarts: the order of arrival. */
export class Sequences {
  constructor(private last: number) {}

  next(): number {
    return ++this.last;
  }
}

/** Routes messages and stores each once, however many queues it goes to. */
export class Publisher {
  /** Turned away by reject-publish-dlx during the publish that runs: dead-lettered when it is through, to keep the sequence order. */
  readonly #turnedAway: { queue: Queue; message: Message }[] = [];
  readonly #findExchange: (name: string) => Exchange | undefined;

  constructor(
    private readonly exchanges: ReadonlyMap<string, Exchange>,
    private readonly log: MessageLog,
    private readonly clock: Clock,
    private readonly sequences: Sequences,
  ) {
    this.#findExchange = (name) => this.exchanges.get(name);
  }

  /** Throws 406 for a bad expiration, before anything is stored. */
  publish(exchange: Exchange, message: Message, routingKeys: readonly string[]): PublishResult {
    const expirationMs = readExpirationMs(message.properties);
    const queues = this.#route(exchange, message, routingKeys);
    if (queues.length === 0) return 'unroutable';

    const refused = this.#store(message, queues, expirationMs);
    for (const queue of queues) queue.noteLead();
    this.#buryTurnedAway();
    return refused ? 'rejected' : 'routed';
  }

  /** Moves a copy of `message`, which died in `queue`, to the queue's dead-letter exchange. */
  deadLetter(queue: Queue, message: Message, reason: DeathReason): BurialResult {
    const result = this.#deadLetter(queue, message, reason);
    this.#buryTurnedAway();
    return result;
  }

  #deadLetter(queue: Queue, message: Message, reason: DeathReason): BurialResult {
    const { deadLetterExchange, deadLetterRoutingKey, deadLettersAtLeastOnce } = queue.settings;
    const nowhere = deadLettersAtLeastOnce ? 'refused' : 'dropped';
    const exchange = deadLetterExchange === undefined ? undefined : this.exchanges.get(deadLetterExchange);
    if (exchange === undefined) return nowhere;

    const letter = deadLetterOf(message, {
      queue: queue.name,
      reason,
      atMs: this.clock.now(),
      deadLetterExchange: exchange.name,
      deadLetterRoutingKey,
    });
    const routed = this.#route(exchange, letter.message, letter.routingKeys);
    if (routed.length === 0) return nowhere;
    const queues = routed.filter((target) => !isAutomaticCycle(target.name, letter.deaths, reason));
    if (queues.length === 0) return 'dropped';
    // All or none: a retry must not repeat the copies that found room.
    if (deadLettersAtLeastOnce && queues.some((target) => target.refuses(letter.message.body.length))) return 'refused';

    this.#store(letter.message, queues, undefined);
    return 'moved';
  }

  #route(exchange: Exchange, message: Message, routingKeys: readonly string[]): Queue[] {
    const headers = new ReceivedHeaders(message.properties);
    return route<Queue>(exchange, routingKeys, headers, this.#findExchange);
  }

  /** True when a queue turned it away. Whatever is persistent is in the log once, before any queue has it. */
  #store(message: Message, queues: readonly Queue[], expirationMs: number | undefined): boolean {
    const sequence = this.sequences.next();
    const isPersistent = peekDeliveryMode(message.properties) === PERSISTENT;
    const accepting: Queue[] = [];
    const expiries: number[] = [];
    const placements: Placement[] = [];
    for (const queue of queues) {
      if (queue.refuses(message.body.length)) continue;
      const expiresAt = queue.expiryOf(expirationMs);
      accepting.push(queue);
      expiries.push(expiresAt);
      if (isPersistent && queue.isDurable) placements.push({ queue: queue.number, expiresAt, flags: 0 });
    }

    let position = 0;
    let recordBytes = 0;
    if (placements.length > 0) {
      const chunks = encodeMessage(message);
      for (const chunk of chunks) recordBytes += chunk.length;
      position = this.log.appendMessage(sequence, placements, chunks);
    }
    for (let index = 0; index < accepting.length; index++) {
      const queue = accepting[index]!;
      const priority = queue.settings.maxPriority === 0 ? 0 : (peekProperty(message.properties, 'priority') ?? 0);
      const logged = queue.isDurable ? recordBytes : 0;
      queue.enqueue(sequence, position, logged, message, expiries[index]!, priority);
    }
    if (accepting.length === queues.length) return false;
    this.#noteTurnedAway(message, queues, accepting);
    return true;
  }

  #noteTurnedAway(message: Message, queues: readonly Queue[], accepting: readonly Queue[]): void {
    for (const queue of queues) {
      if (queue.settings.overflow !== 'reject-publish-dlx' || accepting.includes(queue)) continue;
      if (queue.settings.deadLetterExchange !== undefined) this.#turnedAway.push({ queue, message });
    }
  }

  /** Each letter may be turned away again by another full queue; the cycle rule ends that. */
  #buryTurnedAway(): void {
    for (let next = this.#turnedAway.shift(); next !== undefined; next = this.#turnedAway.shift()) {
      this.#deadLetter(next.queue, next.message, 'maxlen');
    }
  }
}
