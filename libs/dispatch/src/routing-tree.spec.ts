import { describe, expect, it } from '@jest/globals';
import { buildRoutingTree, RouteError, type RouteNode } from './routing-tree.js';

const receivers = new Set(['ops', 'oncall', 'db']);
const tree = (root: RouteNode) => buildRoutingTree(root, receivers);
const receiversFor = (root: RouteNode, labels: Record<string, string>) =>
  tree(root)
    .match(labels)
    .map((route) => route.receiver);

const written: RouteNode = {
  receiver: 'ops',
  groupBy: ['alertname'],
  groupWaitMs: 1,
  routes: [
    { matchers: ['severity="critical"'], receiver: 'oncall', continue: true, groupIntervalMs: 7 },
    {
      matchers: ['team="db"'],
      receiver: 'db',
      groupBy: ['...'],
      routes: [{ matchers: ['env="test"'], receiver: 'ops', groupWaitMs: 2 }],
    },
    { matchers: ['team=~"db|web"'], receiver: 'ops' },
  ],
};

describe('routing tree', () => {
  it.each([
    ['nothing below matches: the root', {}, ['ops']],
    ['the first match ends the search', { team: 'db' }, ['db']],
    ['continue asks the next as well', { severity: 'critical', team: 'db' }, ['oncall', 'db']],
    ['continue without another match', { severity: 'critical' }, ['oncall']],
    ['the deepest match wins', { team: 'db', env: 'test' }, ['ops']],
  ])('%s', (_rule, labels, expected) => {
    expect(receiversFor(written, labels)).toEqual(expected);
  });

  it('takes nothing when the root has a matcher that fails', () => {
    expect(receiversFor({ receiver: 'ops', matchers: ['a="b"'] }, {})).toEqual([]);
  });

  it('inherits what a child leaves out', () => {
    const [route] = tree(written).match({ team: 'db', env: 'test' });
    expect(route).toEqual({
      key: '{}/{team="db"}/{env="test"}',
      receiver: 'ops',
      groupBy: 'all',
      groupWaitMs: 2,
      groupIntervalMs: 300_000,
      repeatIntervalMs: 14_400_000,
    });
    expect(tree(written).match({ severity: 'critical' })[0]).toMatchObject({
      groupWaitMs: 1,
      groupIntervalMs: 7,
      groupBy: new Set(['alertname']),
    });
  });

  it('keeps keys of routes with the same matchers apart', () => {
    const twins = { receiver: 'ops', routes: [{ receiver: 'db', continue: true }, { receiver: 'oncall' }] };
    expect(
      tree(twins)
        .routes()
        .map((route) => route.key),
    ).toEqual(['{}', '{}/{}', '{}/{}#2']);
  });

  it.each([
    [{}, 'route.receiver is missing'],
    [{ receiver: 'nobody' }, "route.receiver 'nobody'"],
    [{ receiver: 'ops', routes: [{}, { receiver: 'x' }] }, "route.routes[1].receiver 'x'"],
    [{ receiver: 'ops', routes: [{ matchers: ['a="b"', 'a'] }] }, 'route.routes[0].matchers[1]'],
  ])('refuses %j and says where', (root, message) => {
    expect(() => tree(root)).toThrow(RouteError);
    expect(() => tree(root)).toThrow(message);
  });
});
