import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ChannelModel, type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';
import { type AsyncMessage, Connection, type Channel as TransactionChannel } from 'rabbitmq-client';
import { closeAmqp, waitFor } from '#testing';
import type { Ledger } from './ledger.js';
import type { Random } from './random.js';

// What is declared:
//
//   load.direct (direct) -- plain ---> plain       classic; rejects die without a trace
//                        -- graved --> graved      classic, dead-letters to graves
//                        -- quorum --> quorum      at-least-once, dead-letters to graves
//                        -- ranked --> ranked      priorities and a bound in bytes: its start reads every body
//                        -- brief ---> brief       nobody consumes it: TTL, then graves
//                        -- keep ----> keep        nobody consumes it before the end: old messages among dead ones
//                        -- tx.in ---> tx.in       consumed in transactions, each publishing to load.pairs
//   load.pairs  (fanout) ------------> tx.out.1, tx.out.2
//   load.fanout (fanout) ------------> copy.1, copy.2
//   load.graves (fanout) ------------> graves      never consumed before the end
//   markers                                        what consumers publish behind their settlements

const CONSUMED = ['plain', 'graved', 'quorum', 'ranked', 'copy.1', 'copy.2', 'tx.out.1', 'tx.out.2'] as const;
const DEAD_LETTERING = new Set<string>(['graved', 'quorum']);
const COPIES = ['copy.1', 'copy.2'] as const;
const PAIR = ['tx.out.1', 'tx.out.2'] as const;
const ALL = [...CONSUMED, 'tx.in', 'brief', 'keep', 'graves', 'markers'] as const;
const KEYS = ['plain', 'graved', 'quorum', 'ranked', 'tx.in'] as const;
/** Publishes without a confirm, per publisher. */
const UNCONFIRMED_MAX = 300;
/** Promised and not settled: publishers wait beyond this, so that the last drain stays short. */
const BACKLOG_MAX = 4_000;
const PREFETCH = 60;
/** Settlements between two markers. */
const SETTLEMENTS_PER_MARKER = 15;
/** So long that it never comes: this client would go on to whoever has the port next. */
const RECONNECT_MS = 3_600_000;
/** Deliveries settled in one transaction, at most. */
const TRANSACTION_MAX = 10;
/** A message that was handed back this often is settled the next time. */
const DELIVERIES_MAX = 4;
const DRAIN_MS_MAX = 60_000;

/** The load of all rounds: remembers what was published, and how far, over every start of the broker. */
export class BrokerLoad {
  #nextId = 0;
  #published = 0;
  #settled = 0;
  /** Ids in `keep`, in the order of publishing. */
  readonly #kept: string[] = [];
  /** Declared, and something published behind that was confirmed: from then on nothing is declared any more. */
  #isDeclared = false;
  /** Published in transactions that were rolled back: nobody may see them. */
  readonly #rolledBack = new Set<string>();

  constructor(
    private readonly ledger: Ledger,
    private readonly random: Random,
  ) {}

  /** What the broker refused, or said out of turn. */
  readonly faults: string[] = [];
  /** Messages of `keep` that the last drain saw before one published earlier. */
  outOfOrder = 0;

  /** Publishes and consumes until the connection is lost. Resolves then. `onBegun`: all is declared, and the load begins. */
  async runUntilLost(url: string, onBegun: () => void): Promise<void> {
    try {
      const model = await this.#connect(url);
      await this.#declare(await this.#openChannel(model));
      onBegun();
      const lost = onceLost(model);
      const isLost = () => lost.is;
      const publishers = [this.#publish(model, true, isLost), this.#publish(model, false, isLost)];
      const consumers = CONSUMED.map((queue) => this.#consume(model, queue, isLost));
      await Promise.all([...publishers, ...consumers, this.#transact(url, lost), lost.happens]);
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
  }

  /** Takes and acknowledges everything there is. Resolves when each acknowledgement is durable. */
  async drain(url: string): Promise<void> {
    const model = await this.#connect(url);
    await this.#declare(await this.#openChannel(model));
    const channel = await this.#openChannel(model);
    const depthOf = async (queue: string) => (await channel.checkQueue(queue)).messageCount;
    await waitFor(async () => (await depthOf('brief')) === 0, { timeoutMs: DRAIN_MS_MAX, what: 'all to expire' });
    await channel.purgeQueue('markers');
    const order: string[] = [];
    const settled: [queue: string, id: string][] = [];
    await channel.prefetch(500);
    for (const queue of ALL) {
      if (queue === 'markers' || queue === 'brief') continue;
      await channel.consume(queue, (message) => {
        if (message === null) return;
        const id = this.#note(queue, message);
        if (queue === 'keep') order.push(id);
        channel.ack(message);
        if (queue !== 'graves') this.#settle(queue, id, 'acked');
        settled.push([queue, id]);
      });
    }
    let before = -1;
    await waitFor(
      async () => {
        const depths = await Promise.all(ALL.filter((queue) => queue !== 'markers').map(depthOf));
        const isQuiet = before === settled.length && depths.every((depth) => depth === 0);
        before = settled.length;
        return isQuiet;
      },
      { timeoutMs: DRAIN_MS_MAX, what: () => `empty queues; ${settled.length} were drained`, pollMs: 100 },
    );
    await confirmed(channel, 'markers', Buffer.from('drained'));
    for (const [queue, id] of settled) if (queue !== 'graves') this.ledger.durable(queue, id);
    this.outOfOrder = countOutOfOrder(order, this.#kept);
    await model.close();
  }

  /** What is left in all queues, the markers aside. */
  async depths(url: string): Promise<Record<string, number>> {
    const model = await this.#connect(url);
    const channel = await this.#openChannel(model);
    const depths: Record<string, number> = {};
    for (const queue of ALL) {
      if (queue !== 'markers') depths[queue] = (await channel.checkQueue(queue)).messageCount;
    }
    await model.close();
    return depths;
  }

  /** What was declared and is on disk must be there as it was, with its bindings: it is not declared again. */
  async #declare(channel: ConfirmChannel): Promise<void> {
    if (this.#isDeclared) {
      for (const exchange of EXCHANGES) await channel.checkExchange(exchange);
      for (const queue of ALL) await channel.checkQueue(queue);
    }
    await declareAll(channel, !this.#isDeclared);
    await confirmed(channel, 'markers', Buffer.from('declared'));
    this.#isDeclared = true;
    await closeAmqp(channel);
  }

  async #connect(url: string): Promise<ChannelModel> {
    const model = await connect(url);
    model.on('error', (error) => {
      if (!isLoss(error)) this.faults.push(String(error));
    });
    return model;
  }

  async #openChannel(model: ChannelModel): Promise<ConfirmChannel> {
    const channel = await model.createConfirmChannel();
    channel.on('error', (error) => this.faults.push(String(error)));
    return channel;
  }

  /** One of them alone fills `keep`: only within a channel is there an order to keep. */
  async #publish(model: ChannelModel, keeps: boolean, isLost: () => boolean): Promise<void> {
    const channel = await this.#openChannel(model);
    let unconfirmed = 0;
    while (!isLost()) {
      for (let burst = this.random.between(1, 40); burst > 0 && unconfirmed < UNCONFIRMED_MAX; burst--) {
        if (this.#published - this.#settled > BACKLOG_MAX) break;
        unconfirmed += 1;
        this.#publishOne(channel, keeps, () => {
          unconfirmed -= 1;
        });
      }
      await nextTurn();
    }
  }

  #publishOne(channel: ConfirmChannel, keeps: boolean, onAnswer: () => void): void {
    const { random, ledger } = this;
    const id = String(this.#nextId++);
    const { exchange, key, queues } = this.#destination(keeps);
    const body = bodyOf(id, key === 'keep' ? 200 : this.#size());
    if (key === 'keep') this.#kept.push(id);
    const waits = key === 'brief' || key === 'keep';
    if (!waits) this.#published += queues.length;
    const expiration = key === 'brief' && random.chance(0.3) ? String(random.between(0, 300)) : undefined;
    const priority = key === 'ranked' ? random.between(0, 3) : undefined;
    try {
      channel.publish(exchange, key, body, { persistent: true, messageId: id, expiration, priority }, (error) => {
        onAnswer();
        if (error === null) for (const queue of queues) ledger.promise(queue, id);
      });
    } catch {
      // The channel has closed since the last look; the loop ends when the loss is told.
      onAnswer();
    }
  }

  #destination(keeps: boolean): { exchange: string; key: string; queues: readonly string[] } {
    const { random } = this;
    if (random.chance(0.15)) return { exchange: 'load.fanout', key: '', queues: COPIES };
    const key = random.chance(0.1) ? 'brief' : keeps && random.chance(0.05) ? 'keep' : random.pick(KEYS);
    return { exchange: 'load.direct', key, queues: [key] };
  }

  /** Mostly small, sometimes of many frames: segments roll over within a few rounds. */
  #size(): number {
    const { random } = this;
    const kind = random.next();
    if (kind < 0.6) return random.between(1, 300);
    if (kind < 0.9) return random.between(1_000, 4_000);
    return kind < 0.99 ? random.between(16_000, 64_000) : random.between(200_000, 400_000);
  }

  /** Consumes with one channel after the other: some are closed with deliveries in hand. */
  async #consume(model: ChannelModel, queue: string, isLost: () => boolean): Promise<void> {
    while (!isLost()) {
      const channel = await this.#openChannel(model);
      await channel.prefetch(PREFETCH);
      const left = this.random.between(200, 3_000);
      await new Promise<void>((resolve) => {
        const settling = new Settling(queue, channel, this.ledger);
        let taken = 0;
        channel.on('close', resolve);
        const onMessage = (message: ConsumeMessage | null) => {
          if (message === null || taken > left) return;
          this.#treat(queue, message, channel, settling);
          taken += 1;
          if (taken > left) channel.close().catch(() => undefined);
        };
        channel.consume(queue, onMessage).catch(() => undefined);
      });
    }
  }

  #treat(queue: string, message: ConsumeMessage, channel: ConfirmChannel, settling: Settling): void {
    const { random } = this;
    const id = this.#note(queue, message);
    const deliveries = this.#deliveries;
    const chance = random.next();
    if (chance < 0.02) return; // kept in hand until the channel or the broker ends
    if (chance < 0.12 && deliveries < DELIVERIES_MAX) {
      channel.nack(message, false, true);
    } else if (chance < 0.22 && DEAD_LETTERING.has(queue)) {
      channel.reject(message, false);
      this.#settle(queue, id, 'rejected');
      settling.add(id);
    } else {
      channel.ack(message);
      this.#settle(queue, id, 'acked');
      settling.add(id);
    }
  }

  /** Takes from `tx.in` and publishes to both of a pair in one transaction after the other; some are rolled back first. */
  async #transact(url: string, lost: Loss): Promise<void> {
    const connection = new Connection({
      url: url.replace('://', '://guest:guest@'),
      retryLow: RECONNECT_MS,
      retryHigh: RECONNECT_MS,
    });
    connection.on('error', (error) => {
      if (!isLoss(error)) this.faults.push(String(error));
    });
    try {
      const acquiring = connection.acquire();
      acquiring.catch(() => undefined); // too late to matter when the broker is gone
      const channel = await Promise.race([acquiring, lost.happens]);
      if (channel === undefined) return;
      channel.on('error', (error) => {
        if (!isLoss(error)) this.faults.push(String(error));
      });
      await channel.basicQos({ prefetchCount: 4 * TRANSACTION_MAX });
      await channel.txSelect();
      const inbox: AsyncMessage[] = [];
      await channel.basicConsume({ queue: 'tx.in' }, (message) => inbox.push(message));
      while (!lost.is) {
        if (inbox.length === 0) await nextTurn();
        else await this.#commit(channel, inbox.splice(0, this.random.between(1, TRANSACTION_MAX)));
      }
    } catch (error) {
      if (!isLoss(error)) throw error;
    } finally {
      connection.unsafeDestroy();
    }
  }

  async #commit(channel: TransactionChannel, deliveries: readonly AsyncMessage[]): Promise<void> {
    const ids = deliveries.map(({ messageId, body, redelivered }) =>
      this.#note('tx.in', { properties: { messageId }, content: body as Buffer, fields: { redelivered } }),
    );
    const tell = async () => {
      const published = ids.map(() => String(this.#nextId++));
      for (const [index, messageId] of published.entries()) {
        const envelope = { exchange: 'load.pairs', routingKey: '', durable: true, messageId };
        await channel.basicPublish(envelope, bodyOf(messageId, this.random.between(1, 3_000)));
        channel.basicAck({ deliveryTag: deliveries[index]!.deliveryTag });
      }
      return published;
    };
    if (this.random.chance(0.1)) {
      for (const id of await tell()) this.#rolledBack.add(id);
      await channel.txRollback();
    }
    const published = await tell();
    for (const id of ids) this.#settle('tx.in', id, 'acked');
    await channel.txCommit();
    this.#published += PAIR.length * published.length;
    for (const id of published) for (const queue of PAIR) this.ledger.promise(queue, id);
    for (const id of ids) this.ledger.durable('tx.in', id);
  }

  #settle(queue: string, id: string, how: 'acked' | 'rejected'): void {
    if (queue !== 'keep') this.#settled += 1;
    this.ledger.settled(queue, id, how);
  }

  #deliveries = 0;

  #note(queue: string, message: Seen): string {
    const id = String(message.properties.messageId);
    if (this.#rolledBack.has(id)) this.faults.push(`${id} is in '${queue}' though its transaction was rolled back`);
    const isWhole = message.content.equals(bodyOf(id, message.content.length)) && message.content.length > 0;
    if (queue === 'graves') {
      const [death] = message.properties.headers?.['x-death'] ?? [];
      this.ledger.buried(String(death?.queue), id);
      if (!isWhole) this.faults.push(`the dead letter ${id} has another body than was published`);
    } else {
      this.#deliveries = this.ledger.delivered(queue, id, { redelivered: message.fields.redelivered, isWhole });
    }
    return id;
  }
}

/** What of a delivery is looked at, whichever client brought it. */
interface Seen {
  properties: { messageId?: string; headers?: ConsumeMessage['properties']['headers'] };
  content: Buffer;
  fields: { redelivered: boolean };
}

/** Settlements of one channel that wait for the confirm of a marker published behind them. */
class Settling {
  #ids: string[] = [];

  constructor(
    private readonly queue: string,
    private readonly channel: ConfirmChannel,
    private readonly ledger: Ledger,
  ) {}

  add(id: string): void {
    this.#ids.push(id);
    if (this.#ids.length < SETTLEMENTS_PER_MARKER) return;
    const ids = this.#ids;
    this.#ids = [];
    this.channel.sendToQueue('markers', Buffer.from(this.queue), { persistent: true }, (error) => {
      if (error === null) for (const each of ids) this.ledger.durable(this.queue, each);
    });
  }
}

const EXCHANGES = ['load.direct', 'load.fanout', 'load.graves', 'load.pairs'] as const;

/** Declaring again what is there compares every argument. Bindings are made only once: what they route proves that they are there. */
async function declareAll(channel: ConfirmChannel, binds: boolean): Promise<void> {
  for (const exchange of EXCHANGES) {
    await channel.assertExchange(exchange, exchange === 'load.direct' ? 'direct' : 'fanout', { durable: true });
  }
  const graves = { 'x-dead-letter-exchange': 'load.graves' };
  const atLeastOnce = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' };
  const queueArguments: Record<(typeof ALL)[number], Record<string, unknown>> = {
    plain: {},
    graved: graves,
    quorum: { ...graves, ...atLeastOnce, 'x-queue-type': 'quorum' },
    ranked: { 'x-max-priority': 3, 'x-max-length-bytes': 2_000_000_000 },
    'copy.1': {},
    'copy.2': { 'x-queue-type': 'quorum' },
    brief: { ...graves, 'x-message-ttl': 150 },
    'tx.in': {},
    'tx.out.1': {},
    'tx.out.2': { 'x-queue-type': 'quorum' },
    keep: {},
    graves: {},
    markers: { 'x-max-length': 50 },
  };
  for (const queue of ALL) {
    await channel.assertQueue(queue, { durable: true, arguments: queueArguments[queue] });
  }
  if (!binds) return;
  for (const queue of [...KEYS, 'brief', 'keep']) await channel.bindQueue(queue, 'load.direct', queue);
  for (const queue of COPIES) await channel.bindQueue(queue, 'load.fanout', '');
  for (const queue of PAIR) await channel.bindQueue(queue, 'load.pairs', '');
  await channel.bindQueue('graves', 'load.graves', '');
}

/** The killed broker's connection ends in one of these ways; anything else is a finding. */
function isLoss(error: unknown): boolean {
  return /ECONNRESET|EPIPE|ECONNREFUSED|clos(e|ed|ing)\b|ended|socket/i.test(String(error));
}

interface Loss {
  is: boolean;
  happens: Promise<void>;
}

function onceLost(model: ChannelModel): Loss {
  const lost: Loss = { is: false, happens: Promise.resolve() };
  lost.happens = new Promise((resolve) => {
    model.on('close', () => {
      lost.is = true;
      resolve();
    });
  });
  return lost;
}

function confirmed(channel: ConfirmChannel, queue: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    channel.sendToQueue(queue, body, { persistent: true }, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** The bytes that follow from an id, so that any other are seen. */
function bodyOf(id: string, size: number): Buffer {
  return Buffer.alloc(size, `${id} `);
}

/** Pairs of neighbours that were published the other way round. */
function countOutOfOrder(seen: readonly string[], published: readonly string[]): number {
  const places = new Map(published.map((id, index) => [id, index]));
  let count = 0;
  for (let index = 1; index < seen.length; index++) {
    if (places.get(seen[index]!)! < places.get(seen[index - 1]!)!) count += 1;
  }
  return count;
}
