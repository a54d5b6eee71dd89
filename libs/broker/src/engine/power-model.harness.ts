import type { SettlementQueue } from '../consumer.js';
import type { ReadyMessage } from '../virtual-host.js';
import { type EngineUnderTest, headersOf, ticks } from './engine.harness.js';

// What is declared:
//
//   copies (fanout) ──▶ copy.1, copy.2
//   plain                             rejects die without a trace; purged now and then
//   graved, brief, bounded, careful ──▶ graves     by reject; by TTL; by length; by reject, at least once
//   extra                             comes and goes with all it holds

const PLAIN = ['plain', 'copy.1', 'copy.2', 'extra'] as const;
const BURYING = ['graved', 'brief', 'bounded', 'careful'] as const;
const QUEUES = [...PLAIN, ...BURYING] as const;
const KEPT_IN_ORDER = ['plain', 'copy.1', 'copy.2'] as const;
const TTL_MS = 50;
const LENGTH_MAX = 12;
const LARGE_BYTES_MAX = 5_000;

/** One message in one queue, from its publish to its end. Log offsets: once `durable` has passed one, what it stands for is promised. */
interface Placement {
  storedAt: number;
  settled?: { how: 'acked' | 'rejected'; at: number };
  /** Its dead letter was acknowledged. */
  exhumedAt?: number;
  /** A crash between a dead letter and the acknowledgement of what died left both: one settled says nothing about the other. */
  isRepeated?: boolean;
}

interface InHand {
  key: string;
  queue: SettlementQueue;
  sequence: number;
}

/** Acts on an engine at random and remembers what a start must find, wherever the power goes. */
export class PowerModel {
  readonly broken: string[] = [];
  readonly counts = { promised: 0, lost: 0, resurrected: 0, checks: 0 };
  #engine!: EngineUnderTest;
  #nextId = 0;
  #hasExtra = false;
  #extraChangedAt = 0;
  #placements = new Map<string, Placement>();
  #inHand: InHand[] = [];

  constructor(
    private readonly random: () => number,
    /** Bodies leave memory: a reject is done once the body has been read, and until then a crash brings it back. */
    private readonly isTight: boolean,
  ) {}

  declare(engine: EngineUnderTest): void {
    this.#engine = engine;
    const toGraves = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'graves' };
    const atLeastOnce = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' };
    engine.exchange('copies', 'fanout');
    for (const queue of ['plain', 'copy.1', 'copy.2', 'graves']) engine.queue(queue);
    engine.queue('graved', toGraves);
    engine.queue('brief', { ...toGraves, 'x-message-ttl': TTL_MS });
    engine.queue('bounded', { ...toGraves, 'x-max-length': LENGTH_MAX });
    engine.queue('careful', { ...toGraves, ...atLeastOnce, 'x-queue-type': 'quorum' });
    for (const queue of ['copy.1', 'copy.2']) engine.bind('copies', queue);
  }

  async actAtRandom(): Promise<void> {
    const dice = this.random();
    if (dice < 0.4) this.#publish();
    else if (dice < 0.7) await this.#take(this.#pick(QUEUES));
    else if (dice < 0.85) this.#settleSome();
    else if (dice < 0.88) this.#transact();
    else if (dice < 0.91) await this.#exhume();
    else if (dice < 0.93) this.#changeExtra();
    else if (dice < 0.94) this.#purge();
    else if (dice < 0.97) await this.#engine.clock.advance(Math.floor(this.random() * TTL_MS));
    else this.#engine.engine.durability.requestSync();
    if (this.random() < 0.3) await ticks(1);
  }

  /** Compares what the next engine holds with what was promised when the log was durable up to `durable`. Goes on with what it holds. */
  async check(engine: EngineUnderTest, durable: number, tag: string): Promise<void> {
    this.#engine = engine;
    this.#inHand = [];
    this.#checkDefinitions(durable, tag);
    const found = await this.#takeAll();
    const buried = new Map<string, number>();
    await ticks();
    for (const ready of await this.#readyIn('graves')) {
      const key = buriedKey(ready);
      buried.set(key, (buried.get(key) ?? 0) + 1);
      ready.queue.requeue([ready.sequence]);
    }
    for (const key of new Set([...found, ...buried.keys()])) {
      if (!this.#placements.has(key)) this.#complain('resurrected', `${tag}: ${key} came from nowhere or is back`);
    }
    for (const [key, placement] of this.#placements) {
      this.#judge(key, placement, { isThere: found.has(key), isBuried: buried.has(key), durable, tag });
    }
    this.#judgeOrder(found, tag);
    this.counts.checks += 1;
    const before = this.#placements;
    this.#placements = new Map();
    for (const key of before.keys()) {
      // What is not found any more must not be found by a later start.
      const copies = Number(found.has(key)) + (buried.get(key) ?? 0);
      if (copies > 0) this.#placements.set(key, { storedAt: 0, isRepeated: copies > 1 });
    }
  }

  #judge(
    key: string,
    { storedAt, settled, exhumedAt, isRepeated = false }: Placement,
    { isThere, isBuried, durable, tag }: { isThere: boolean; isBuried: boolean; durable: number; tag: string },
  ): void {
    if (storedAt <= durable) this.counts.promised += 1;
    const isSettled = settled !== undefined && settled.at <= durable;
    if (isSettled && settled.how === 'acked' && isThere) this.#complain('resurrected', `${tag}: ${key} was acked`);
    if (isSettled && settled.how === 'rejected' && isThere && !this.isTight) {
      this.#complain('resurrected', `${tag}: ${key} was rejected`);
    }
    if (exhumedAt !== undefined && exhumedAt <= durable && (isThere || isBuried) && !isRepeated) {
      this.#complain('resurrected', `${tag}: the dead letter of ${key} was acked`);
    }
    const mayBeGone = settled?.how === 'acked' || exhumedAt !== undefined;
    if (storedAt <= durable && !isThere && !isBuried && !mayBeGone) this.#complain('lost', `${tag}: ${key} is lost`);
  }

  /** What a start finds is a beginning of what was stored: nothing is there of which something stored before is missing. */
  #judgeOrder(found: ReadonlySet<string>, tag: string): void {
    let last = 0;
    let firstMissing = Number.POSITIVE_INFINITY;
    for (const [key, { storedAt, settled }] of this.#placements) {
      const isOrdered = KEPT_IN_ORDER.some((queue) => key.startsWith(`${queue}/`));
      if (!isOrdered || settled !== undefined) continue;
      if (found.has(key)) last = Math.max(last, storedAt);
      else firstMissing = Math.min(firstMissing, storedAt);
    }
    if (last >= firstMissing) {
      this.#complain('lost', `${tag}: what ended at ${firstMissing} is missing, what ended at ${last} is there`);
    }
  }

  #checkDefinitions(durable: number, tag: string): void {
    const { host } = this.#engine;
    const isComplete = ['plain', 'copy.1', 'copy.2', 'graves', ...BURYING].every((queue) => host.hasQueue(queue));
    if (!isComplete || host.exchangeType('copies') !== 'fanout') this.#complain('lost', `${tag}: a definition is lost`);
    const hasExtra = host.hasQueue('extra');
    if (this.#extraChangedAt <= durable && hasExtra !== this.#hasExtra) {
      this.#complain(hasExtra ? 'resurrected' : 'lost', `${tag}: queue 'extra' is ${hasExtra ? 'back' : 'lost'}`);
    }
    this.#hasExtra = hasExtra;
    this.#extraChangedAt = 0;
  }

  #complain(kind: 'lost' | 'resurrected', sentence: string): void {
    this.counts[kind] += 1;
    this.broken.push(sentence);
  }

  #publish(): void {
    const id = String(this.#nextId++);
    const target = this.#pick(['copies', 'plain', 'extra', ...BURYING]);
    if (target === 'extra' && !this.#hasExtra) return;
    const body = this.#bodyOf(id);
    if (target === 'copies') this.#engine.publish('copies', '', body);
    else this.#engine.publish('', target, body);
    const storedAt = this.#appended;
    for (const queue of target === 'copies' ? ['copy.1', 'copy.2'] : [target]) {
      this.#placements.set(`${queue}/${id}`, { storedAt });
    }
  }

  async #take(queue: string): Promise<void> {
    if (queue === 'extra' && !this.#hasExtra) return;
    const ready = await this.#engine.get(queue, false);
    if (ready === undefined) return;
    this.#inHand.push({ key: `${queue}/${idOf(ready)}`, queue: ready.queue, sequence: ready.sequence });
  }

  #settleSome(): void {
    for (const { key, queue, sequence } of this.#inHand.splice(0, Math.ceil(this.random() * this.#inHand.length))) {
      const dice = this.random();
      if (dice < 0.2) {
        queue.requeue([sequence]);
        continue;
      }
      const isRejected = dice < 0.5;
      if (isRejected) queue.reject([sequence]);
      else queue.acknowledge([sequence]);
      const leavesGrave = isRejected && BURYING.some((name) => key.startsWith(`${name}/`));
      this.#settled(key, leavesGrave ? 'rejected' : 'acked');
    }
  }

  /** As a commit does it: what was published, then what was settled. */
  #transact(): void {
    const taken = this.#inHand.splice(0, 3);
    for (let publishes = taken.length; publishes > 0; publishes--) this.#publish();
    for (const { queue, sequence } of taken) queue.acknowledge([sequence]);
    for (const { key } of taken) this.#settled(key, 'acked');
    this.#engine.engine.durability.requestSync();
  }

  async #exhume(): Promise<void> {
    const ready = await this.#engine.get('graves', false);
    if (ready === undefined) return;
    ready.queue.acknowledge([ready.sequence]);
    const placement = this.#placements.get(buriedKey(ready));
    if (placement !== undefined) placement.exhumedAt = this.#appended;
  }

  #changeExtra(): void {
    if (this.#hasExtra) {
      this.#engine.host.deleteQueue('extra', { ifUnused: false, ifEmpty: false }, this.#engine.owner);
      this.#inHand = this.#inHand.filter(({ key }) => !key.startsWith('extra/'));
      this.#settleAllIn('extra');
    } else {
      this.#engine.queue('extra');
    }
    this.#hasExtra = !this.#hasExtra;
    this.#extraChangedAt = this.#appended;
  }

  #purge(): void {
    this.#engine.host.purgeQueue('plain', this.#engine.owner);
    this.#settleAllIn('plain');
  }

  /** What a consumer holds stays where it is. */
  #settleAllIn(queue: string): void {
    const held = new Set(this.#inHand.map(({ key }) => key));
    for (const [key, { settled }] of this.#placements) {
      if (key.startsWith(`${queue}/`) && settled === undefined && !held.has(key)) this.#settled(key, 'acked');
    }
  }

  #settled(key: string, how: 'acked' | 'rejected'): void {
    this.#placements.get(key)!.settled = { how, at: this.#appended };
  }

  /** Looks at every message outside the graves; afterwards each is ready again. */
  async #takeAll(): Promise<Set<string>> {
    const found = new Set<string>();
    for (const queue of QUEUES) {
      if (queue === 'extra' && !this.#hasExtra) continue;
      const taken = await this.#readyIn(queue);
      for (const ready of taken) {
        const key = `${queue}/${idOf(ready)}`;
        if (found.has(key)) this.#complain('resurrected', `${key} is there twice`);
        found.add(key);
      }
      for (const ready of taken) ready.queue.requeue([ready.sequence], false);
    }
    return found;
  }

  async #readyIn(queue: string): Promise<ReadyMessage[]> {
    const taken: ReadyMessage[] = [];
    for (let ready = await this.#engine.get(queue, false); ready; ready = await this.#engine.get(queue, false)) {
      taken.push(ready);
      const id = idOf(ready);
      const { body } = ready.message;
      if (!body.equals(Buffer.alloc(body.length, `${id} `))) this.#complain('lost', `${queue}/${id} is not whole`);
    }
    return taken;
  }

  #bodyOf(id: string): Buffer {
    const sizeMax = this.random() < 0.05 ? LARGE_BYTES_MAX : 300;
    return Buffer.alloc(id.length + 1 + Math.floor(this.random() * sizeMax), `${id} `);
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)]!;
  }

  get #appended(): number {
    return this.#engine.engine.durability.appended;
  }
}

function idOf({ message }: ReadyMessage): string {
  const [id = ''] = message.body.toString('latin1').split(' ', 1);
  return id;
}

/** Where it died: the oldest of its deaths. */
function buriedKey(ready: ReadyMessage): string {
  return `${headersOf(ready.message)['x-first-death-queue']}/${idOf(ready)}`;
}
