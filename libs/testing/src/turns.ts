/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Time, not a number of turns: a fast machine has many turns before the first timer of what is waited for. */
const UNTIL_MS_MAX = 30_000;

/** Waits until it holds, a turn of the event loop at a time. For what needs no other process. */
export async function until(condition: () => boolean): Promise<void> {
  const endsAt = performance.now() + UNTIL_MS_MAX;
  while (!condition()) {
    if (performance.now() > endsAt) throw new Error(`never came true: ${condition}`);
    await turn();
  }
}
