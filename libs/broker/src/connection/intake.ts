import type { Duplex } from 'node:stream';

/**
 * Why a connection is not reading: `answer` a request waits for its answer and what follows must not overtake it, `flow`
 * too much published and not yet on disk, `unread` the client does not read its answers, `alarm` the broker is short of
 * memory or disk, `consumers` it has published ahead of them and they have their turn.
 */
export type HoldReason = 'answer' | 'flow' | 'unread' | 'alarm' | 'consumers';

/** The reading side of one socket: it reads while nobody holds it. */
export class Intake {
  readonly #socket: Duplex;
  readonly #reasons = new Set<HoldReason>();

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  get isHeld(): boolean {
    return this.#reasons.size > 0;
  }

  isHeldFor(reason: HoldReason): boolean {
    return this.#reasons.has(reason);
  }

  hold(reason: HoldReason): void {
    this.#reasons.add(reason);
    this.#socket.pause();
  }

  release(reason: HoldReason): void {
    if (this.#reasons.delete(reason) && this.#reasons.size === 0) this.#socket.resume();
  }
}
