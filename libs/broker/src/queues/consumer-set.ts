import type { Consumer } from '../consumer.js';

/** Consumers of one priority with the place where the round goes on. */
interface Level {
  readonly priority: number;
  readonly consumers: Consumer[];
  next: number;
  /** What the one at `next` got since the round came to it. */
  served: number;
}

/**
 * Whose turn it is. Among the consumers of the highest priority that have room, one after the other; lower priorities only when all
 * higher ones are full. With a single active consumer the first to come is served alone; when it goes, the waiting one with the
 * highest priority and among these the oldest takes over.
 */
export class ConsumerSet {
  /** Highest priority first. */
  readonly #levels: Level[] = [];
  #count = 0;
  #active: Consumer | undefined;

  constructor(private readonly isSingleActive: boolean) {}

  get count(): number {
    return this.#count;
  }

  get active(): Consumer | undefined {
    return this.#active;
  }

  /** The one that asked to be alone. */
  get hasExclusive(): boolean {
    return this.#count === 1 && this.#levels[0]!.consumers[0]!.exclusive;
  }

  add(consumer: Consumer): void {
    this.#levelOf(consumer.priority).consumers.push(consumer);
    this.#count++;
    if (this.isSingleActive) this.#active ??= consumer;
  }

  /** False when it was not here. */
  remove(consumer: Consumer): boolean {
    const at = this.#levels.findIndex((level) => level.priority === consumer.priority);
    const level = this.#levels[at];
    const place = level?.consumers.indexOf(consumer) ?? -1;
    if (level === undefined || place === -1) return false;

    level.consumers.splice(place, 1);
    if (place === level.next) level.served = 0;
    else if (place < level.next) level.next--;
    if (level.consumers.length === 0) this.#levels.splice(at, 1);
    this.#count--;
    if (this.#active === consumer) this.#active = this.#levels[0]?.consumers[0];
    return true;
  }

  /** The consumer to serve now, or undefined when none has room. After `perTurn` calls, or when one is full, the round moves on. */
  takeTurn(perTurn = 1): Consumer | undefined {
    if (this.isSingleActive) return this.#active?.hasRoom() === true ? this.#active : undefined;

    for (const level of this.#levels) {
      const { consumers } = level;
      for (let tried = 0; tried < consumers.length; tried++) {
        if (level.next >= consumers.length) level.next = 0;
        const consumer = consumers[level.next]!;
        const hasRoom = consumer.hasRoom();
        if (!hasRoom || ++level.served >= perTurn) {
          level.next++;
          level.served = 0;
        }
        if (hasRoom) return consumer;
      }
    }
    return undefined;
  }

  get hasRoom(): boolean {
    if (this.isSingleActive) return this.#active?.hasRoom() === true;
    return this.#levels.some((level) => level.consumers.some((consumer) => consumer.hasRoom()));
  }

  /** Everyone leaves: the queue is gone. */
  clear(): Consumer[] {
    const all = this.#levels.flatMap((level) => level.consumers);
    this.#levels.length = 0;
    this.#count = 0;
    this.#active = undefined;
    return all;
  }

  #levelOf(priority: number): Level {
    let at = this.#levels.findIndex((level) => level.priority <= priority);
    if (at === -1) at = this.#levels.length;
    const found = this.#levels[at];
    if (found !== undefined && found.priority === priority) return found;
    const level: Level = { priority, consumers: [], next: 0, served: 0 };
    this.#levels.splice(at, 0, level);
    return level;
  }
}
