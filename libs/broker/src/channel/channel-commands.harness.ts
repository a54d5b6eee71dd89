import fc from 'fast-check';
import { METHODS, type MethodName, tableOf } from '#amqp-codec';
import type { PeerDialogue } from '../wire.harness.js';
import type { ModelChannel, SettlementKind } from './channel-model.harness.js';
import type { Command, Dialogue, DialogueModel } from './random-dialogue.harness.js';

/** A command on one channel: it is skipped where `isDue` says no, then what it leads to is awaited and checked. */
abstract class ChannelCommand implements Command {
  constructor(readonly slot: number) {}

  protected isDue(_channel: ModelChannel, _model: DialogueModel): boolean {
    return true;
  }

  protected abstract says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void;

  check(model: Readonly<DialogueModel>): boolean {
    const channel = model.channel(this.slot);
    return channel.isOpen && this.isDue(channel, model as DialogueModel);
  }

  async run(model: DialogueModel, dialogue: Dialogue): Promise<void> {
    const channel = model.channel(this.slot);
    const peer = dialogue.peerOf(this.slot);
    peer.channel = channel.number;
    this.says(channel, peer, model);
    await dialogue.settles(model, this.slot);
  }

  toString(): string {
    return `${this.constructor.name}${JSON.stringify({ ...this })}`;
  }
}

class Open extends ChannelCommand {
  override check(model: Readonly<DialogueModel>): boolean {
    return !model.channel(this.slot).isOpen;
  }
  says(channel: ModelChannel, peer: PeerDialogue): void {
    peer.sends('channel.open');
    channel.open();
    channel.due.push({ name: 'channel.open-ok' });
  }
}

class Close extends ChannelCommand {
  says(channel: ModelChannel, peer: PeerDialogue): void {
    peer.sends('channel.close', { replyCode: 200 });
    channel.close();
    channel.due.push({ name: 'channel.close-ok' });
  }
}

class Declare extends ChannelCommand {
  constructor(
    slot: number,
    readonly queue: number,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    const queue = model.declare(this.queue);
    const limits = Number.isFinite(queue.lengthMax)
      ? { 'x-max-length': queue.lengthMax, 'x-overflow': 'reject-publish' }
      : {};
    peer.sends('queue.declare', { queue: queue.name, durable: true, arguments: tableOf(limits) });
    const args = { queue: queue.name, messageCount: queue.ready.length, consumerCount: model.consumerCount(queue) };
    channel.due.push({ name: 'queue.declare-ok', args });
  }
}

class Purge extends ChannelCommand {
  constructor(
    slot: number,
    readonly queue: number,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    const queue = model.queue(this.queue);
    peer.sends('queue.purge', { queue: model.queueName(this.queue) });
    if (queue === undefined) {
      fails(channel, 'queue.purge', 404);
      return;
    }
    channel.due.push({ name: 'queue.purge-ok', args: { messageCount: queue.ready.splice(0).length } });
  }
}

class Delete extends ChannelCommand {
  constructor(
    slot: number,
    readonly queue: number,
    readonly ifUnused: boolean,
    readonly ifEmpty: boolean,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    const queue = model.queue(this.queue);
    const { ifUnused, ifEmpty } = this;
    peer.sends('queue.delete', { queue: model.queueName(this.queue), ifUnused, ifEmpty });
    const isRefused =
      queue !== undefined && ((ifUnused && model.consumerCount(queue) > 0) || (ifEmpty && queue.ready.length > 0));
    if (isRefused) {
      fails(channel, 'queue.delete', 406);
      return;
    }
    channel.due.push({ name: 'queue.delete-ok', args: { messageCount: queue?.ready.length ?? 0 } });
    if (queue !== undefined) model.deleteQueue(this.queue);
  }
}

/** Several publishes in one write, as a client that does not wait. */
class Publish extends ChannelCommand {
  constructor(
    slot: number,
    /** Queue, mandatory, persistent, body bytes. A queue beyond those there are is no queue. */
    readonly messages: [queue: number, mandatory: boolean, persistent: boolean, bytes: number][],
  ) {
    super(slot);
  }
  protected override isDue(channel: ModelChannel, model: DialogueModel): boolean {
    // A refusal is told only to who asked for confirms; the model could not know of another.
    return channel.mode.kind === 'confirm' || !this.messages.some(([queue]) => model.isLimited(queue));
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    for (const [number, mandatory, persistent, bytes] of this.messages) {
      const deliveryMode = persistent ? 2 : 1;
      const message = model.newMessage(bytes, deliveryMode);
      peer.publishes(model.queueName(number), message.body, { deliveryMode }, { mandatory });
      channel.publish({ message, mandatory, findQueue: () => model.queue(number) });
    }
  }
}

class PublishToNoExchange extends ChannelCommand {
  says(channel: ModelChannel, peer: PeerDialogue): void {
    peer.publishes('key', 'lost', {}, { exchange: 'no such exchange' });
    fails(channel, 'basic.publish', 404);
  }
}

class Consume extends ChannelCommand {
  constructor(
    slot: number,
    readonly queue: number,
    readonly tag: string,
    readonly noAck: boolean,
    readonly nowait: boolean,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    const queue = model.queue(this.queue);
    const { tag, noAck, nowait } = this;
    peer.sends('basic.consume', { queue: model.queueName(this.queue), consumerTag: tag, noAck, nowait });
    if (channel.consumers.has(tag)) {
      model.connectionFails(this.slot, 'basic.consume', 530);
      return;
    }
    if (queue === undefined) {
      fails(channel, 'basic.consume', 404);
      return;
    }
    channel.consumers.set(tag, { tag, queue, noAck, prefetch: channel.perConsumerPrefetch, unacked: 0 });
    if (!nowait) channel.due.push({ name: 'basic.consume-ok', args: { consumerTag: tag } });
  }
}

class Cancel extends ChannelCommand {
  constructor(
    slot: number,
    readonly tag: string,
    readonly nowait: boolean,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue): void {
    const { tag, nowait } = this;
    peer.sends('basic.cancel', { consumerTag: tag, nowait });
    channel.consumers.delete(tag);
    if (!nowait) channel.due.push({ name: 'basic.cancel-ok', args: { consumerTag: tag } });
  }
}

class Get extends ChannelCommand {
  constructor(
    slot: number,
    readonly queue: number,
    readonly noAck: boolean,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    const queue = model.queue(this.queue);
    const { noAck } = this;
    peer.sends('basic.get', { queue: model.queueName(this.queue), noAck });
    if (queue === undefined) {
      fails(channel, 'basic.get', 404);
      return;
    }
    if (queue.ready.length === 0) {
      channel.due.push({ name: 'basic.get-empty' });
      return;
    }
    channel.due.push({
      name: 'basic.get-ok',
      onHeard: (heard) => {
        if (heard.name === 'basic.get-ok') channel.onGetOk(heard, queue, noAck, model.step);
      },
    });
  }
}

const SETTLEMENTS = { ack: 'basic.ack', nack: 'basic.nack', reject: 'basic.reject' } as const;

class Settle extends ChannelCommand {
  constructor(
    slot: number,
    readonly method: keyof typeof SETTLEMENTS,
    /** Which of the unsettled; beyond them: a tag that nobody knows. */
    readonly which: number,
    readonly all: boolean,
    readonly multiple: boolean,
    readonly requeue: boolean,
  ) {
    super(slot);
  }
  protected override isDue(channel: ModelChannel): boolean {
    return channel.unacked.length > 0 || this.#isWrong;
  }
  says(channel: ModelChannel, peer: PeerDialogue): void {
    const multiple = this.multiple && this.method !== 'reject';
    const tag = this.all && multiple ? 0 : this.#tagIn(channel);
    const name = SETTLEMENTS[this.method];
    peer.sends(name, { deliveryTag: tag, multiple, requeue: this.requeue });
    const deliveries = channel.meant(tag, multiple);
    if (deliveries === undefined) {
      fails(channel, name, 406, `PRECONDITION_FAILED - unknown delivery tag ${tag}`);
      return;
    }
    const kind: SettlementKind = this.method === 'ack' ? 'ack' : this.requeue ? 'requeue' : 'reject';
    channel.settle(kind, deliveries);
  }
  /** A tag settled long ago, or not given out yet. */
  get #isWrong(): boolean {
    return this.which >= 198;
  }
  #tagIn({ unacked, lastTag }: ModelChannel): number {
    if (this.#isWrong) return this.which % 2 === 0 ? lastTag + 1 : 0;
    return unacked[this.which % unacked.length]!.tag;
  }
}

class Recover extends ChannelCommand {
  constructor(
    slot: number,
    readonly isAsynchronous: boolean,
    readonly isRefused: boolean,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    const name = this.isAsynchronous ? 'basic.recover-async' : 'basic.recover';
    peer.sends(name, { requeue: !this.isRefused });
    if (this.isRefused) {
      model.connectionFails(this.slot, name, 540);
      return;
    }
    channel.recover();
    if (!this.isAsynchronous) channel.due.push({ name: 'basic.recover-ok' });
  }
}

class Qos extends ChannelCommand {
  constructor(
    slot: number,
    readonly count: number,
    readonly global: boolean,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue): void {
    peer.sends('basic.qos', { prefetchCount: this.count, global: this.global });
    channel.sharedPrefetch = this.global ? this.count : 0;
    if (!this.global) channel.perConsumerPrefetch = this.count;
    channel.due.push({ name: 'basic.qos-ok' });
  }
}

class ConfirmSelect extends ChannelCommand {
  says(channel: ModelChannel, peer: PeerDialogue): void {
    peer.sends('confirm.select');
    if (channel.mode.kind === 'tx') {
      fails(channel, 'confirm.select', 406);
      return;
    }
    if (channel.mode.kind === 'plain') channel.mode = { kind: 'confirm', published: [], confirmed: 0 };
    channel.due.push({ name: 'confirm.select-ok' });
  }
}

class TxSelect extends ChannelCommand {
  says(channel: ModelChannel, peer: PeerDialogue): void {
    peer.sends('tx.select');
    if (channel.mode.kind === 'confirm') {
      fails(channel, 'tx.select', 406);
      return;
    }
    if (channel.mode.kind === 'plain') channel.mode = { kind: 'tx', publishes: [], settlements: [] };
    channel.due.push({ name: 'tx.select-ok' });
  }
}

class TxEnd extends ChannelCommand {
  constructor(
    slot: number,
    readonly how: 'commit' | 'rollback',
    /** Also where there is no transaction. */
    readonly isBlind: boolean,
  ) {
    super(slot);
  }
  protected override isDue(channel: ModelChannel): boolean {
    return channel.mode.kind === 'tx' || this.isBlind;
  }
  says(channel: ModelChannel, peer: PeerDialogue): void {
    const name = `tx.${this.how}` as const;
    peer.sends(name);
    if (channel.mode.kind !== 'tx') {
      fails(channel, name, 406);
      return;
    }
    channel[this.how]();
    channel.due.push({ name: `${name}-ok` });
  }
}

/** An error, and behind it in the same write what the client sent before it knew. None of that may have an effect. */
class FailAndGoOn extends ChannelCommand {
  constructor(
    slot: number,
    readonly queue: number,
  ) {
    super(slot);
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    peer.sends('queue.purge', { queue: 'no such queue' });
    peer.publishes(model.queueName(this.queue), 'must not be stored', {}, { mandatory: true });
    peer.sends('basic.ack', { deliveryTag: 0, multiple: true });
    peer.sends('queue.delete', { queue: model.queueName(this.queue) });
    peer.sends('tx.commit');
    fails(channel, 'queue.purge', 404);
  }
}

/** What closes the whole connection. */
class BreakConnection extends ChannelCommand {
  constructor(
    slot: number,
    readonly how: keyof typeof HARD_ERRORS | 'cut' | 'close',
  ) {
    super(slot);
  }
  override check(): boolean {
    return true;
  }
  says(channel: ModelChannel, peer: PeerDialogue, model: DialogueModel): void {
    if (this.how === 'cut') {
      model.connectionCut(this.slot);
      peer.cut();
      return;
    }
    if (this.how === 'close') {
      peer.sends('connection.close', { replyCode: 200 });
      model.connectionCloses(this.slot);
      return;
    }
    const error = HARD_ERRORS[this.how];
    if (channel.isOpen) error.says(peer);
    else peer.sends('basic.qos');
    const [method, code] = channel.isOpen ? ([error.method, error.code] as const) : (['basic.qos', 504] as const);
    model.connectionFails(this.slot, method, code);
  }
}

const HARD_ERRORS = {
  'open twice': { method: 'channel.open', code: 504, says: (peer: PeerDialogue) => peer.sends('channel.open') },
  'prefetch size': {
    method: 'basic.qos',
    code: 540,
    says: (peer: PeerDialogue) => peer.sends('basic.qos', { prefetchSize: 1 }),
  },
  immediate: {
    method: 'basic.publish',
    code: 540,
    says: (peer: PeerDialogue) => peer.publishes('key', 'now', {}, { immediate: true }),
  },
  'method inside a content': {
    method: 'basic.publish',
    code: 505,
    says: (peer: PeerDialogue) => {
      peer.sends('basic.publish');
      peer.sends('tx.select');
    },
  },
  'flow off': {
    method: 'channel.flow',
    code: 540,
    says: (peer: PeerDialogue) => peer.sends('channel.flow', { active: false }),
  },
} as const satisfies Record<string, { method: MethodName; code: number; says: (peer: PeerDialogue) => void }>;

function fails(channel: ModelChannel, method: MethodName, replyCode: number, replyText?: string): void {
  channel.close();
  const [classId, methodId] = METHODS[method].id;
  const args = { replyCode, classId, methodId, ...(replyText !== undefined && { replyText }) };
  channel.due.push({ name: 'channel.close', args });
}

const seldom = fc.nat({ max: 11 }).map((number) => number === 11);
const aSlot = fc.nat({ max: 2 });
const aQueue = fc.nat({ max: 2 });
const aTag = fc.constantFrom('one', 'two', 'three', 'four', 'five', 'six');
const aMessage = fc.tuple(
  fc.oneof({ weight: 9, arbitrary: aQueue }, { weight: 1, arbitrary: fc.constant(3) }),
  fc.boolean(),
  fc.boolean(),
  fc.oneof(
    { weight: 9, arbitrary: fc.nat({ max: 60 }) },
    { weight: 1, arbitrary: fc.constantFrom(4088, 4089, 10_000) },
  ),
);

type Weighted = [weight: number, command: fc.Arbitrary<Command>];

const ALWAYS: Weighted[] = [
  [8, aSlot.map((slot) => new Open(slot))],
  [16, fc.tuple(aSlot, fc.array(aMessage, { minLength: 1, maxLength: 6 })).map((given) => new Publish(...given))],
  [8, fc.tuple(aSlot, aQueue, aTag, fc.boolean(), fc.boolean()).map((given) => new Consume(...given))],
  [
    20,
    fc
      .tuple(
        aSlot,
        fc.constantFrom('ack' as const, 'nack' as const, 'reject' as const),
        fc.nat({ max: 199 }),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
      )
      .map((given) => new Settle(...given)),
  ],
];

const SOMETIMES: Weighted[] = [
  [1, aSlot.map((slot) => new Close(slot))],
  [4, fc.tuple(aSlot, aQueue).map((given) => new Declare(...given))],
  [1, fc.tuple(aSlot, aQueue).map((given) => new Purge(...given))],
  [1, fc.tuple(aSlot, aQueue, fc.boolean(), fc.boolean()).map((given) => new Delete(...given))],
  [1, aSlot.map((slot) => new PublishToNoExchange(slot))],
  [2, fc.tuple(aSlot, aTag, fc.boolean()).map((given) => new Cancel(...given))],
  [4, fc.tuple(aSlot, aQueue, fc.boolean()).map((given) => new Get(...given))],
  [2, fc.tuple(aSlot, fc.boolean(), seldom).map((given) => new Recover(...given))],
  [8, fc.tuple(aSlot, fc.nat({ max: 5 }), fc.boolean()).map((given) => new Qos(...given))],
  [3, aSlot.map((slot) => new ConfirmSelect(slot))],
  [5, aSlot.map((slot) => new TxSelect(slot))],
  [
    5,
    fc
      .tuple(aSlot, fc.constantFrom('commit' as const, 'rollback' as const), seldom)
      .map((given) => new TxEnd(...given)),
  ],
  [1, fc.tuple(aSlot, aQueue).map((given) => new FailAndGoOn(...given))],
  [
    1,
    fc
      .tuple(
        aSlot,
        fc.constantFrom(
          'cut' as const,
          'close' as const,
          ...(Object.keys(HARD_ERRORS) as (keyof typeof HARD_ERRORS)[]),
        ),
      )
      .map((given) => new BreakConnection(...given)),
  ],
];

/** Every channel open, every queue there. */
export const OPENING: readonly Command[] = [0, 1, 2].flatMap((slot) => [new Open(slot), new Declare(slot, slot)]);

/** What clients do, in any order. Each run knows only some of the kinds: then those meet one another often. */
export const someCommands: fc.Arbitrary<Iterable<Command>> = fc.subarray(SOMETIMES, { minLength: 3 }).chain((kinds) =>
  fc.commands(
    [...ALWAYS, ...kinds].flatMap(([weight, command]) => Array.from({ length: weight }, () => command)),
    { maxCommands: 120, size: 'max' },
  ),
);
