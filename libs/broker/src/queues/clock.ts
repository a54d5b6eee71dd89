/** Time as queues see it; tests put a fake in its place. */
export interface Clock {
  /** Milliseconds since the epoch, and never less than before. */
  now(): number;
  /** Calls back once after `delayMs`, unless cancelled; does not keep the process alive. */
  startTimer(delayMs: number, onDue: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** Longest delay of a platform timer; whoever needs more looks again when this one is due. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * The wall clock as it was when the process began, and since then the monotonic one: a clock that is set meanwhile neither ends a message
 * early nor keeps it. Expiries are kept on disk as times since the epoch, so over a restart the wall clock decides again.
 */
export const systemClock: Clock = {
  now: () => Math.floor(performance.timeOrigin + performance.now()),
  startTimer(delayMs, onDue) {
    const timer = setTimeout(onDue, Math.min(Math.max(delayMs, 0), TIMER_MS_MAX));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
