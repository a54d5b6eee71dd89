import { type Matcher, MatcherError, matchesAll, parseMatchers } from './matcher.js';

/** A route as configured. What a child leaves out it takes from its parent, as in Alertmanager. */
export interface RouteNode {
  receiver?: string;
  /** Label names; `...` stands for all labels. */
  groupBy?: string[];
  groupWaitMs?: number;
  groupIntervalMs?: number;
  repeatIntervalMs?: number;
  /** In Alertmanager's syntax. All must match. */
  matchers?: string[];
  /** Whether the siblings after a match are asked as well. */
  continue?: boolean;
  routes?: RouteNode[];
}

/** A route with everything inherited. */
export interface Route {
  /** Matchers from the root down, e.g. `{}/{severity="critical"}`; unique in the tree. First part of a group's key. */
  key: string;
  receiver: string;
  groupBy: 'all' | ReadonlySet<string>;
  groupWaitMs: number;
  groupIntervalMs: number;
  repeatIntervalMs: number;
}

/** The routes cannot be used. The message starts with the path, e.g. `route.routes[1].matchers[0]`. */
export class RouteError extends Error {
  override readonly name = 'RouteError';
}

export interface RoutingTree {
  /** The routes an alert with these labels takes, in the order written; none when the root itself does not match. */
  match(labels: Readonly<Record<string, string>>): Route[];
  routes(): Route[];
}

const ALL_LABELS = '...';
/** Alertmanager's; without groupBy all alerts of a route are one group. */
const DEFAULTS = {
  groupBy: new Set<string>(),
  groupWaitMs: 30_000,
  groupIntervalMs: 300_000,
  repeatIntervalMs: 14_400_000,
};

interface Branch {
  route: Route;
  matchers: Matcher[];
  continue: boolean;
  branches: Branch[];
}

/** Throws `RouteError` for an unknown receiver or a matcher that cannot be read. */
export function buildRoutingTree(root: RouteNode, receivers: ReadonlySet<string>): RoutingTree {
  const keys = new Set<string>();
  const top = grow(root, { path: 'route', parentKey: undefined, inherited: undefined, receivers, keys });
  return { match: (labels) => matchBranch(top, labels), routes: () => flatten(top) };
}

function matchBranch(branch: Branch, labels: Readonly<Record<string, string>>): Route[] {
  if (!matchesAll(branch.matchers, labels)) return [];

  const found: Route[] = [];
  for (const child of branch.branches) {
    const matched = matchBranch(child, labels);
    found.push(...matched);
    if (matched.length > 0 && !child.continue) break;
  }
  return found.length > 0 ? found : [branch.route];
}

function flatten(branch: Branch): Route[] {
  return [branch.route, ...branch.branches.flatMap(flatten)];
}

interface Soil {
  path: string;
  parentKey: string | undefined;
  inherited: Route | undefined;
  receivers: ReadonlySet<string>;
  keys: Set<string>;
}

function grow(node: RouteNode, soil: Soil): Branch {
  const { path, parentKey, inherited, receivers, keys } = soil;
  const matchers = readMatchers(node, path);
  const receiver = node.receiver ?? inherited?.receiver;
  if (receiver === undefined) throw new RouteError(`${path}.receiver is missing`);
  if (!receivers.has(receiver)) {
    throw new RouteError(
      `${path}.receiver '${receiver}' is not one of the receivers: ${[...receivers].join(', ') || 'there are none'}`,
    );
  }

  const ownKey = `${parentKey === undefined ? '' : `${parentKey}/`}{${matchers.join(',')}}`;
  const route: Route = {
    key: claimKey(ownKey, keys),
    receiver,
    groupBy: node.groupBy ? groupByOf(node.groupBy) : (inherited?.groupBy ?? DEFAULTS.groupBy),
    groupWaitMs: node.groupWaitMs ?? inherited?.groupWaitMs ?? DEFAULTS.groupWaitMs,
    groupIntervalMs: node.groupIntervalMs ?? inherited?.groupIntervalMs ?? DEFAULTS.groupIntervalMs,
    repeatIntervalMs: node.repeatIntervalMs ?? inherited?.repeatIntervalMs ?? DEFAULTS.repeatIntervalMs,
  };
  const branches = (node.routes ?? []).map((child, index) =>
    grow(child, { path: `${path}.routes[${index}]`, parentKey: route.key, inherited: route, receivers, keys }),
  );
  return { route, matchers, continue: node.continue ?? false, branches };
}

function readMatchers(node: RouteNode, path: string): Matcher[] {
  return (node.matchers ?? []).flatMap((text, index) => {
    try {
      return parseMatchers(text);
    } catch (error) {
      if (error instanceof MatcherError)
        throw new RouteError(`${path}.matchers[${index}]: ${error.message}`, { cause: error });
      throw error;
    }
  });
}

// Two siblings with the same matchers are two routes; only the second gets a number, so that adding other routes renames no group.
function claimKey(key: string, keys: Set<string>): string {
  let free = key;
  for (let copy = 2; keys.has(free); copy++) free = `${key}#${copy}`;
  keys.add(free);
  return free;
}

function groupByOf(names: readonly string[]): Route['groupBy'] {
  return names.includes(ALL_LABELS) ? 'all' : new Set(names);
}
