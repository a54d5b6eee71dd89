/** No send takes longer: an attempt that was claimed earlier and has no outcome was abandoned. */
export const ATTEMPT_MS_MAX = 60_000;

/** Attempts claimed after this instant may still be under way. */
export function openSince(now: number): number {
  return now - ATTEMPT_MS_MAX;
}
