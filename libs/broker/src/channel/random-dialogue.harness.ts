import { setImmediate as nextTurn } from 'node:timers/promises';
import type fc from 'fast-check';
import { METHODS, type MethodName } from '#amqp-codec';
import type { Heard, PeerDialogue, WireFixture } from '../wire.harness.js';
import { type Due, ModelChannel, type ModelMessage, type ModelQueue, must, Step } from './channel-model.harness.js';

/** Which connection and number each of the three channels has. */
const SLOTS = [
  { connection: 0, number: 1 },
  { connection: 0, number: 7 },
  { connection: 1, number: 1 },
] as const;
const LENGTHS_MAX = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 3];

export type Command = fc.AsyncCommand<DialogueModel, Dialogue>;

const PATIENCE_MS = 10_000;
/** A consumer nobody has: cancelling it is answered and changes nothing. */
const FENCE = 'fence';
/** Turns in which something wrong would show after everything right has come. */
const TURNS_AFTER = 4;

/** What two clients with three channels believe about themselves and the queues. */
export class DialogueModel {
  readonly channels = SLOTS.map(({ number }) => new ModelChannel(number));
  readonly queues = new Map<number, ModelQueue>();
  readonly connectionDue: Due[][] = [[], []];
  step = new Step();
  #messages = 0;

  constructor(readonly prefix: string) {}

  channel(slot: number): ModelChannel {
    return this.channels[slot]!;
  }

  queueName(number: number): string {
    return `${this.prefix}.${number}`;
  }

  isLimited(number: number): boolean {
    return Number.isFinite(LENGTHS_MAX[number] ?? Number.POSITIVE_INFINITY);
  }

  queue(number: number): ModelQueue | undefined {
    return this.queues.get(number);
  }

  declare(number: number): ModelQueue {
    let queue = this.queues.get(number);
    if (queue === undefined) {
      queue = {
        name: this.queueName(number),
        lengthMax: LENGTHS_MAX[number]!,
        isDeleted: false,
        lastPlace: 0,
        ready: [],
      };
      this.queues.set(number, queue);
    }
    return queue;
  }

  deleteQueue(number: number): void {
    const queue = this.queues.get(number)!;
    this.queues.delete(number);
    queue.isDeleted = true;
    queue.ready = [];
    for (const channel of this.channels) {
      for (const consumer of channel.consumers.values()) {
        if (consumer.queue !== queue) continue;
        channel.consumers.delete(consumer.tag);
        channel.cancelsDue.add(consumer.tag);
      }
    }
  }

  consumerCount(queue: ModelQueue): number {
    const all = this.channels.flatMap((channel) => [...channel.consumers.values()]);
    return all.filter((consumer) => consumer.queue === queue).length;
  }

  newMessage(bytes: number, deliveryMode: number): ModelMessage {
    const body = Buffer.from(`${this.prefix} message ${++this.#messages} `.padEnd(bytes, '.'));
    return { place: 0, body, deliveryMode, redelivered: false };
  }

  connectionFails(slot: number, method: MethodName, replyCode: number): void {
    const [classId, methodId] = METHODS[method].id;
    this.connectionCut(slot);
    this.connectionDue[SLOTS[slot]!.connection]!.push({
      name: 'connection.close',
      args: { replyCode, classId, methodId },
    });
  }

  connectionCloses(slot: number): void {
    this.connectionCut(slot);
    this.connectionDue[SLOTS[slot]!.connection]!.push({ name: 'connection.close-ok' });
  }

  connectionCut(slot: number): void {
    SLOTS.forEach(({ connection }, index) => {
      if (connection === SLOTS[slot]!.connection) this.channels[index]!.close();
    });
  }

  hears(connection: number, heard: Heard): void {
    if (heard.channel === 0) {
      const due = this.connectionDue[connection]!.shift();
      const args = heard.args as Record<string, unknown>;
      must(due?.name === heard.name, `${heard.name} ${JSON.stringify(args)} came, ${due?.name ?? 'nothing'} was due`);
      for (const [key, value] of Object.entries(due?.args ?? {})) {
        must(args[key] === value, `${heard.name}: ${key} is ${args[key]}, not ${value}`);
      }
      return;
    }
    const index = SLOTS.findIndex((slot) => slot.connection === connection && slot.number === heard.channel);
    try {
      this.channels[index]!.hears(heard, this.step);
    } catch (error) {
      const { name, args, content } = heard;
      const said = `${name} ${JSON.stringify(args)} ${content.body.toString('latin1', 0, 40)}`;
      throw new Error(`channel ${index}: ${said}: ${(error as Error).message}`);
    }
  }

  get missing(): string | undefined {
    for (const due of this.connectionDue) if (due.length > 0) return due[0]!.name;
    for (const channel of this.channels) if (channel.missing !== undefined) return channel.missing;
    return undefined;
  }
}

/** The same two clients on a broker, and a third that looks on. */
export class Dialogue {
  readonly #fixture: WireFixture;
  readonly #peers: PeerDialogue[] = [];
  #onlooker!: PeerDialogue;

  private constructor(fixture: WireFixture) {
    this.#fixture = fixture;
  }

  /** All queues are there and all channels open, so that the first commands find something to do. */
  static async begin(fixture: WireFixture, opening: readonly Command[], model: DialogueModel): Promise<Dialogue> {
    const dialogue = new Dialogue(fixture);
    dialogue.#onlooker = await fixture.aClient();
    for (const connection of [0, 1]) await dialogue.#connect(connection);
    for (const command of opening) await command.run(model, dialogue);
    return dialogue;
  }

  peerOf(slot: number): PeerDialogue {
    return this.#peers[SLOTS[slot]!.connection]!;
  }

  /** Waits for everything that is due, sees that nothing else comes, and compares the queues. */
  async settles(model: DialogueModel, slot: number): Promise<void> {
    await this.#everythingDue(model);
    const channel = model.channel(slot);
    if (channel.isOpen) {
      // Not all commands have an answer: one more question, and when that is answered they have been read.
      this.peerOf(slot).sends('basic.cancel', { consumerTag: FENCE }, channel.number);
      channel.due.push({ name: 'basic.cancel-ok', args: { consumerTag: FENCE } });
      await this.#everythingDue(model);
    }
    for (let turn = 0; turn < TURNS_AFTER; turn++) {
      await nextTurn();
      await this.#hearAll(model);
    }
    model.step.applyRefusals();
    model.step.checkOrder();
    model.step = new Step();
    await this.#everythingDue(model);
    for (const queue of model.queues.values()) await this.#compares(queue, model.consumerCount(queue));
  }

  /** All clients go; what is left in each queue is what the model says, and then nothing is. */
  async end(model: DialogueModel): Promise<void> {
    model.connectionCut(0);
    model.connectionCut(2);
    for (const peer of this.#peers) {
      peer.cut();
      await peer.expectsEnd();
    }
    for (const queue of model.queues.values()) {
      await this.#onlooker.quiet();
      for (const message of queue.ready) {
        this.#onlooker.sends('basic.get', { queue: queue.name, noAck: true });
        const { content, redelivered } = await this.#onlooker.expects('basic.get-ok');
        must(content.body.equals(message.body), `${queue.name} holds ${content.body} next, not ${message.body}`);
        must(redelivered === message.redelivered, `${message.body} is redelivered: ${message.redelivered}`);
      }
      this.#onlooker.sends('basic.get', { queue: queue.name, noAck: true });
      await this.#onlooker.expects('basic.get-empty');
      this.#onlooker.sends('queue.delete', { queue: queue.name });
      await this.#onlooker.expects('queue.delete-ok');
    }
    this.#onlooker.cut();
    await this.#onlooker.expectsEnd();
  }

  async #connect(connection: number): Promise<void> {
    const peer = this.#fixture.connects();
    await peer.handshakes({ frameMax: 4096 });
    this.#peers[connection] = peer;
  }

  async #everythingDue(model: DialogueModel): Promise<void> {
    const givesUpAt = performance.now() + PATIENCE_MS;
    for (;;) {
      await this.#hearAll(model);
      if (model.missing === undefined) return;
      must(performance.now() < givesUpAt, `${model.missing} comes`);
      await nextTurn();
    }
  }

  async #hearAll(model: DialogueModel): Promise<void> {
    for (const [connection, peer] of this.#peers.entries()) {
      for (let heard = peer.hears(); heard !== undefined; heard = peer.hears()) {
        model.hears(connection, heard);
        if (heard.name === 'channel.close') peer.sends('channel.close-ok', {}, heard.channel);
        if (heard.name === 'connection.close') peer.sends('connection.close-ok');
      }
      if (peer.isClosed) await this.#connect(connection);
    }
  }

  async #compares(queue: ModelQueue, consumers: number): Promise<void> {
    this.#onlooker.sends('queue.declare', { queue: queue.name, passive: true });
    const { messageCount, consumerCount } = await this.#onlooker.expects('queue.declare-ok');
    must(messageCount === queue.ready.length, `${queue.name} has ${messageCount} ready, not ${queue.ready.length}`);
    must(consumerCount === consumers, `${queue.name} has ${consumerCount} consumers, not ${consumers}`);
    must(messageCount <= queue.lengthMax || queue.ready.some(({ redelivered }) => redelivered), 'a limit is kept');
  }
}
