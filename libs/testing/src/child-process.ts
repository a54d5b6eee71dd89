import { readdirSync, readFileSync } from 'node:fs';

/** Process id of the one child of a process, the broker of a service for instance; undefined when it has none now. */
export function childOf(pid: number): number | undefined {
  const child = readdirSync('/proc').find((name) => /^\d+$/.test(name) && parentOf(Number(name)) === pid);
  return child === undefined ? undefined : Number(child);
}

export function isRunning(pid: number): boolean {
  return parentOf(pid) !== undefined;
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; whoever must collect it may take its time, or never come.
    return state === 'Z' || state === 'X' ? undefined : Number(parent);
  } catch {
    // It ended between the listing and the look.
    return undefined;
  }
}
