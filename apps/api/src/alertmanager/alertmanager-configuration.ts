import { stringify } from 'yaml';
import type { Configuration, RouteSettings } from '#config';

/** Our routes and receiver names as an `alertmanager.yml` that amtool can read. Targets stay out: they hold secrets. */
export function alertmanagerConfiguration({ route, receivers, resolveTimeoutMs }: Configuration): string {
  return stringify({
    global: { resolve_timeout: duration(resolveTimeoutMs) },
    route: toRoute(route),
    receivers: receivers.map(({ name }) => ({ name })),
  });
}

function toRoute(route: RouteSettings): Record<string, unknown> {
  return {
    receiver: route.receiver,
    ...(route.groupBy.length > 0 && { group_by: route.groupBy }),
    ...(route.matchers.length > 0 && { matchers: route.matchers }),
    ...(route.continue && { continue: true }),
    group_wait: duration(route.groupWaitMs),
    group_interval: duration(route.groupIntervalMs),
    repeat_interval: duration(route.repeatIntervalMs),
    ...(route.routes.length > 0 && { routes: route.routes.map(toRoute) }),
  };
}

const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** Prometheus' form: `1h30m`. */
function duration(ms: number): string {
  let rest = ms;
  const parts = UNITS.map(([unit, unitMs]) => {
    const amount = Math.floor(rest / unitMs);
    rest -= amount * unitMs;
    return amount > 0 ? `${amount}${unit}` : '';
  });
  return parts.join('') || '0s';
}
