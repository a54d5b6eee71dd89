import type { DeliveryTick } from './delivery-tick.js';
import type { MessageMemory } from './message-memory.js';

/** Messages looked at in one tick, so that deliveries do not wait for it: a few milliseconds. */
const RELIEF_MESSAGES_PER_TICK = 8192;

/** A queue as the relief sees it. */
export interface Relievable {
  /** Messages in memory that were not looked at yet. */
  readonly looseCount: number;
  /** Lets go of up to `messagesMax` of them, the last to be delivered first, until memory is relaxed. Returns how many it looked at. */
  relieve(messagesMax: number): number;
}

/**
 * Makes room when memory runs short, at the end of a tick, when everything that could be handed out was: logged messages leave memory,
 * others move out of the chunks that they pin. The longest queues first.
 */
export class MemoryRelief {
  constructor(
    private readonly memory: MessageMemory,
    private readonly tick: DeliveryTick,
    private readonly queues: () => Iterable<Relievable>,
  ) {}

  run(): void {
    const queues = [...this.queues()].filter((queue) => queue.looseCount > 0);
    queues.sort((one, other) => other.looseCount - one.looseCount);
    let messagesLeft = RELIEF_MESSAGES_PER_TICK;
    for (const queue of queues) {
      messagesLeft -= queue.relieve(messagesLeft);
      if (this.memory.isRelaxed) {
        this.memory.relieved();
        return;
      }
      if (messagesLeft === 0) {
        this.tick.addLast(this);
        return;
      }
    }
    this.memory.keepsTheRest();
  }
}
