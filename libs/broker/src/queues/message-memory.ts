import type { Message } from '../message.js';

/** Bodies of logged messages kept in memory, over all queues; what does not fit is read back from the log. */
export const MESSAGE_MEMORY_BYTES = 256 * 1024 * 1024;
/** What an object and its two buffers cost beside their bytes. */
const MESSAGE_OVERHEAD_BYTES = 300;

/** Counts the messages that queues keep in memory. A message in several queues is counted in each. */
export class MessageMemory {
  #usedBytes = 0;

  constructor(private readonly limitBytes = MESSAGE_MEMORY_BYTES) {}

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Half used: time to let go of what can be read again. */
  get isTight(): boolean {
    return this.#usedBytes * 2 > this.limitBytes;
  }

  /** True when the message may stay in memory; it is then counted. */
  admit(message: Message): boolean {
    if (this.#usedBytes >= this.limitBytes) return false;
    this.hold(message);
    return true;
  }

  /** Counts a message that has to stay: it lives nowhere else, or is about to be delivered. */
  hold(message: Message): void {
    this.#usedBytes += costOf(message);
  }

  release(message: Message): void {
    this.#usedBytes -= costOf(message);
  }
}

function costOf(message: Message): number {
  return message.body.length + message.properties.length + MESSAGE_OVERHEAD_BYTES;
}
