import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  timeoutMs: number;
  /** What is waited for, as it stands in the failure: `3 mails`. A function is asked when the time is up. */
  what: string | (() => string);
  pollMs?: number;
}

/** Waits until `condition` answers something truthy and returns it; throws a sentence that names `what` when the time is up. */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<NonNullable<T>> {
  const endsAt = performance.now() + options.timeoutMs;
  for (;;) {
    const result = await condition();
    if (result) return result;

    if (performance.now() >= endsAt)
      throw new Error(`waited ${options.timeoutMs} ms in vain for ${textOf(options.what)}`);
    await delay(options.pollMs ?? POLL_MS);
  }
}

const POLL_MS = 10;

function textOf(what: string | (() => string)): string {
  return typeof what === 'string' ? what : what();
}
