import type { QueueSettings } from './arguments.js';
import type { Clock, Timer } from './clock.js';
import type { PriorityLevels } from './priority-levels.js';

/** The instant at which a message stored now would expire; 0 is never. Fixed once, when it is stored: a requeue keeps it. */
export function expiryOf(settings: QueueSettings, clock: Clock, messageTtlMs: number | undefined): number {
  const { messageTtlMs: queueTtlMs } = settings;
  if (messageTtlMs === undefined && queueTtlMs === undefined) return 0;
  return clock.now() + Math.min(messageTtlMs ?? Number.POSITIVE_INFINITY, queueTtlMs ?? Number.POSITIVE_INFINITY);
}

/** Wakes a queue when one of its heads expires: one timer for all, for the earliest. A timer that comes too early looks again. */
export class ExpiryTimer {
  #armed: { dueAt: number; timer: Timer } | undefined;
  #isEnded = false;

  constructor(
    private readonly clock: Clock,
    private readonly onDue: () => void,
  ) {}

  arm(levels: PriorityLevels): void {
    const dueAt = earliestHead(levels);
    if (dueAt === 0 || this.#isEnded || (this.#armed !== undefined && this.#armed.dueAt <= dueAt)) return;

    this.#armed?.timer.cancel();
    const timer = this.clock.startTimer(Math.max(1, dueAt - this.clock.now()), () => {
      this.#armed = undefined;
      this.onDue();
    });
    this.#armed = { dueAt, timer };
  }

  end(): void {
    this.#isEnded = true;
    this.#armed?.timer.cancel();
  }
}

function earliestHead(levels: PriorityLevels): number {
  let dueAt = 0;
  for (const level of levels.all) {
    if (!level.hasExpiries || level.readyCount === 0) continue;
    const expiresAt = level.expiresAt(level.nextReady());
    if (expiresAt !== 0 && (dueAt === 0 || expiresAt < dueAt)) dueAt = expiresAt;
  }
  return dueAt;
}
