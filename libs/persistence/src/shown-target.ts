const SEALED = /^sealed:/;
const MASK = '***';

/** The target of a stored envelope as people may see it; undefined for a payload that is no envelope. */
export function shownTarget(payload: string): Record<string, unknown> | undefined {
  const target = targetOf(payload);
  return target === undefined ? undefined : (masked(target) as Record<string, unknown>);
}

function targetOf(payload: string): object | undefined {
  try {
    const { target } = JSON.parse(payload);
    return typeof target === 'object' && target !== null ? target : undefined;
  } catch {
    // The raw body of a message that could not be parsed.
    return undefined;
  }
}

function masked(value: unknown): unknown {
  if (typeof value === 'string') return SEALED.test(value) ? MASK : value;
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, masked(field)]));
}
