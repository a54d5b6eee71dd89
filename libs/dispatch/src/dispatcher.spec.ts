import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Alert } from './alert.js';
import { Decisions, type Publication } from './decisions.js';
import { Dispatch, type DispatchOptions } from './dispatcher.js';
import { hasEnded } from './merge.js';
import { normaliseAlert } from './normalise.js';
import type { GroupContent } from './notification.js';
import { originOfNotificationId } from './notification-id.js';
import type { DispatchChanges, StoredDispatch } from './ports.js';
import type { DispatchTarget } from './receiver.js';

const SECOND = 1_000;
const START = 1_800_000_000_000;
const resolveTimeoutMs = 300 * SECOND;
const secret = Buffer.alloc(32, 1);

describe('dispatch', () => {
  it('waits groupWait, then tells a new group at once and completely', () => {
    const world = aWorld();
    world.post({ a: '1' });
    world.advance(5 * SECOND);
    world.post({ a: '2' });
    expect(world.told()).toEqual([]);

    world.advance(5 * SECOND);
    expect(world.told()).toEqual([{ to: 'ops', reason: 'first-notification', status: 'firing', alerts: ['1', '2'] }]);
  });

  it('tells what is new after groupInterval, with all that fires', () => {
    const world = aWorld();
    world.post({ a: '1' });
    world.advance(10 * SECOND);
    world.forget();

    world.post({ a: '2' });
    world.advance(59 * SECOND);
    expect(world.told()).toEqual([]);
    world.advance(SECOND);
    expect(world.told()).toEqual([{ to: 'ops', reason: 'new-alerts', status: 'firing', alerts: ['1', '2'] }]);
  });

  it('tells an end, and forgets the group', () => {
    const world = aWorld();
    world.post({ a: '1' });
    world.advance(10 * SECOND);
    world.forget();

    world.resolve({ a: '1' });
    world.advance(60 * SECOND);
    expect(world.told()).toEqual([{ to: 'ops', reason: 'all-resolved', status: 'resolved', alerts: ['1'] }]);
    expect(world.stored()).toEqual({ alerts: [], groups: [], log: [] });
    expect(world.dispatch.nextDueAt()).toBe(Number.POSITIVE_INFINITY);
  });

  it('ends an alert that is not refreshed, and tells it', () => {
    const world = aWorld();
    world.post({ a: '1' });
    world.advance(10 * SECOND);
    world.forget();

    world.advance(resolveTimeoutMs);
    expect(world.told()).toEqual([{ to: 'ops', reason: 'all-resolved', status: 'resolved', alerts: ['1'] }]);
    expect(world.kinds('resolved')).toEqual([expect.objectContaining({ reason: 'not-refreshed' })]);
  });

  it('writes nothing for a refresh', () => {
    const world = aWorld();
    world.post({ a: '1' });
    world.advance(10 * SECOND);
    const { decisions } = world.dispatch.receive([anAlert({ a: '1' }, world.now + 5)], world.now + 5);
    expect(decisions.isEmpty).toBe(true);
  });

  it('repeats after repeatInterval while it fires', () => {
    const world = aWorld();
    for (let minute = 0; minute <= 60; minute++) {
      world.post({ a: '1' });
      world.advance(60 * SECOND);
    }
    expect(world.told().map(({ reason }) => reason)).toEqual(['first-notification', 'repeat-interval']);
  });

  it('does not tell ends to whom they are not wanted', () => {
    const world = aWorld({ targets: [aTarget('ops', { sendResolved: false })] });
    world.post({ a: '1' });
    world.advance(10 * SECOND);
    world.resolve({ a: '1' });
    world.advance(60 * SECOND);
    expect(world.told().map(({ reason }) => reason)).toEqual(['first-notification']);
    expect(world.kinds('suppressed')).toEqual([{ reason: 'resolved-not-wanted' }]);
  });

  it.each([
    ['no-route', (world: World) => world.post({ a: '1', team: 'none' })],
    ['resolved-before-told', (world: World) => world.resolve({ a: '1' })],
    [
      'resolved-before-told',
      (world: World) => {
        world.post({ a: '1' });
        world.resolve({ a: '1' });
      },
    ],
  ])('records %s', (reason, happen) => {
    const world = aWorld();
    happen(world);
    world.advance(10 * SECOND);
    world.advance(resolveTimeoutMs);
    expect(world.told()).toEqual([]);
    expect(world.kinds('suppressed')).toEqual([{ reason }]);
    expect(world.stored()).toEqual({ alerts: [], groups: [], log: [] });
  });

  it('records an end that was never told because it fired again', () => {
    const world = aWorld();
    world.post({ a: '1' });
    world.advance(10 * SECOND);
    world.resolve({ a: '1' });
    world.advance(10 * SECOND);
    world.post({ a: '1' });
    world.advance(60 * SECOND);
    expect(world.told()).toHaveLength(1);
    expect(world.kinds('suppressed')).toEqual([{ reason: 'fired-again-before-told' }]);
  });

  it('never repeats an id when a group comes back', () => {
    const world = aWorld({ groupWaitMs: 0, groupIntervalMs: 100 });
    for (let life = 0; life < 20; life++) {
      world.post({ a: '1' });
      world.advance(0);
      world.resolve({ a: '1' });
      world.advance(100);
    }
    const ids = world.publications.map(({ envelope }) => envelope.id);
    expect(ids.length).toBeGreaterThanOrEqual(40);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('puts 1,000 alerts in 20 groups into the notifications', () => {
    const world = aWorld({ groupBy: ['group'] });
    const labels = Array.from({ length: 1_000 }, (_, index) => ({ a: String(index), group: String(index % 20) }));
    world.post(...labels);
    world.restart();
    world.advance(10 * SECOND);
    expect(world.publications).toHaveLength(20);
    expect(new Set(world.told().flatMap(({ alerts }) => alerts)).size).toBe(1_000);
  });

  it('tells a flush that is too large in parts, each alert once', () => {
    const world = aWorld();
    world.post(...Array.from({ length: 2_500 }, (_, index) => ({ a: String(index) })));
    world.advance(10 * SECOND);
    expect(world.publications.length).toBeGreaterThanOrEqual(3);
    const named = world.told().flatMap(({ alerts }) => alerts);
    expect(named).toHaveLength(2_500);
    expect(new Set(named).size).toBe(2_500);
  });

  it('gives a firing alert one resolve time-out of grace after a restart', () => {
    const world = aWorld();
    world.post({ a: '1' });
    world.advance(10 * SECOND);
    world.forget();
    world.now += 10 * resolveTimeoutMs;
    world.restart();
    world.advance(resolveTimeoutMs - SECOND);
    expect(world.told()).toEqual([]);
    world.advance(61 * SECOND);
    expect(world.told().map(({ reason }) => reason)).toEqual(['all-resolved']);
  });

  it('computes the same ids again when a flush was not written', () => {
    const world = aWorld();
    world.post({ a: '1' });
    world.now += 10 * SECOND;
    const lost = idsOf(world.dispatch.flushDue(world.now));
    world.restart();
    world.advance(SECOND);
    expect(lost).toHaveLength(1);
    expect(world.publications.map(({ envelope }) => envelope.id)).toEqual(lost);
  });

  describe('after a change of the routes', () => {
    it('groups anew what has lost its route, and tells nobody twice', () => {
      const world = aWorld();
      world.post({ a: '1' });
      world.advance(10 * SECOND);
      world.forget();

      world.restart({ groupBy: ['a'] });
      world.post({ a: '1' });
      world.advance(60 * SECOND);
      expect(world.told()).toEqual([]);
      expect(world.stored().groups.map((group) => group.key)).toEqual(['{}:{a="1"}']);

      world.resolve({ a: '1' });
      world.advance(60 * SECOND);
      expect(world.told().map(({ reason }) => reason)).toEqual(['all-resolved']);
    });

    it('tells a target that is new', () => {
      const world = aWorld();
      world.post({ a: '1' });
      world.advance(10 * SECOND);
      world.forget();
      world.restart({ targets: [aTarget('ops'), aTarget('oncall')] });
      world.advance(60 * SECOND);
      expect(world.told().map(({ to }) => to)).toEqual(['oncall']);
    });

    it('forgets what was told to targets that are gone', () => {
      const world = aWorld({ targets: [aTarget('ops'), aTarget('oncall')] });
      world.post({ a: '1' });
      world.advance(10 * SECOND);
      expect(world.stored().log).toHaveLength(2);
      world.restart({});
      expect(world.stored().log).toHaveLength(1);
    });
  });

  it('loses nothing whatever comes, and stores what it needs to go on', () => {
    const post = fc.record({
      what: fc.constantFrom('post', 'post', 'resolve', 'advance', 'restart', 'crash'),
      a: fc.constantFrom('1', '2', '3', '4'),
      team: fc.constantFrom('x', 'y'),
      seconds: fc.integer({ min: 0, max: 90 }),
    });
    fc.assert(
      fc.property(fc.array(post, { maxLength: 60 }), (steps) => {
        const world = aWorld({
          groupBy: ['team'],
          targets: [aTarget('ops'), aTarget('quiet', { sendResolved: false })],
        });
        for (const { what, a, team, seconds } of steps) {
          if (what === 'post') world.post({ a, team });
          else if (what === 'resolve') world.resolve({ a, team });
          else if (what === 'advance') world.advance(seconds * SECOND);
          else if (what === 'restart') world.restart();
          else world.crashInFlush();
        }
        const firing = world.stored().alerts.filter((alert) => !hasEnded(alert));
        // None may run into its timeout while its group waits.
        world.refreshAll();
        world.advance(60 * SECOND);
        world.refreshAll();
        world.advance(60 * SECOND);

        for (const { fingerprint } of firing) expect(world.believedBy('ops')).toContain(fingerprint);
        world.advance(resolveTimeoutMs + 60 * SECOND);
        world.advance(60 * SECOND);
        expect(world.believedBy('ops')).toEqual(new Set());
        expect(world.stored()).toEqual({ alerts: [], groups: [], log: [] });
        world.expectEveryChangeAccountedFor();
        const ids = world.publications.map(({ envelope }) => envelope.id);
        expect(new Set(ids).size).toBe(ids.length);
        expect(ids.every((id) => originOfNotificationId(secret, id)?.madeBy === 'dispatch')).toBe(true);
      }),
    );
  });
});

interface WorldOptions {
  targets?: DispatchTarget[];
  groupBy?: string[];
  groupWaitMs?: number;
  groupIntervalMs?: number;
}

type World = ReturnType<typeof aWorld>;

/** A dispatch over a store in memory, with a clock that is moved by hand. */
function aWorld(options: WorldOptions = {}) {
  const rows = { alerts: new Map(), groups: new Map(), log: new Map() } as {
    [Table in keyof StoredDispatch]: Map<string, StoredDispatch[Table][number]>;
  };
  const timeline: DispatchChanges['timeline'] = [];
  const believed = new Map<string, Set<string>>();

  const world = {
    now: START,
    publications: [] as Publication[],
    dispatch: new Dispatch(dispatchOptions(options)),

    post: (...labels: Record<string, string>[]) => world.take(labels.map((each) => anAlert(each, world.now))),
    resolve: (labels: Record<string, string>) => world.take([anAlert(labels, world.now, world.now)]),
    refreshAll: () =>
      world.take(
        world
          .stored()
          .alerts.filter((alert) => !hasEnded(alert))
          .map((alert) => anAlert(alert.labels, world.now)),
      ),
    take: (alerts: Alert[]) => {
      const { refused, decisions } = world.dispatch.receive(alerts, world.now);
      expect(refused).toEqual([]);
      world.commit(decisions);
    },
    /** Second by second (or in one step, when less), flushing what is due. */
    advance: (ms: number) => {
      const end = world.now + ms;
      do {
        world.now = Math.min(end, world.now + SECOND);
        world.commit(world.dispatch.flushDue(world.now));
      } while (world.now < end);
    },
    restart: (changed: WorldOptions = options) => {
      world.dispatch = new Dispatch(dispatchOptions(changed));
      world.commit(world.dispatch.load(world.stored(), world.now));
    },
    crashInFlush: () => {
      world.dispatch.flushDue(world.now + 60 * SECOND);
      world.restart();
    },

    commit: (decisions: Decisions) => {
      const { changes, publications } = decisions.toChanges();
      for (const alert of changes.alerts) rows.alerts.set(alert.fingerprint, alert);
      for (const group of changes.groups) rows.groups.set(group.key, group);
      for (const entry of changes.log) rows.log.set(entry.key, entry);
      for (const key of changes.alertsForgotten) rows.alerts.delete(key);
      for (const key of changes.groupsForgotten) rows.groups.delete(key);
      for (const key of changes.logForgotten) rows.log.delete(key);
      timeline.push(...changes.timeline);
      world.publications.push(...publications);
      for (const { envelope } of publications) believe(envelope.targetKey, envelope.content as GroupContent);
    },
    stored: (): StoredDispatch =>
      structuredClone({
        alerts: [...rows.alerts.values()],
        groups: [...rows.groups.values()],
        log: [...rows.log.values()],
      }),
    told: () =>
      world.publications.map(({ envelope }) => {
        const { reason, status, alerts } = envelope.content as GroupContent;
        return { to: envelope.targetKey, reason, status, alerts: alerts.map(({ labels }) => labels['a']) };
      }),
    forget: () => {
      world.publications = [];
    },
    kinds: (kind: string) => timeline.filter((entry) => entry.kind === kind).map(({ detail }) => detail),
    believedBy: (targetKey: string) => believed.get(targetKey) ?? new Set<string>(),

    /** Per alert: each time it fired or ended is followed by a notification or a reason. */
    expectEveryChangeAccountedFor: () => {
      const open = new Map<string, string>();
      for (const { fingerprint, kind, detail } of timeline) {
        if (!fingerprint) continue;
        if (kind === 'received' || kind === 'resolved') open.set(fingerprint, kind);
        if (kind === 'suppressed') open.delete(fingerprint);
        if (kind === 'notified' && (detail['status'] === 'resolved') === (open.get(fingerprint) === 'resolved'))
          open.delete(fingerprint);
      }
      expect([...open]).toEqual([]);
    },
  };
  return world;

  function believe(targetKey: string, { alerts }: GroupContent) {
    const firing = believed.get(targetKey) ?? new Set<string>();
    for (const { fingerprint, status } of alerts)
      status === 'firing' ? firing.add(fingerprint) : firing.delete(fingerprint);
    believed.set(targetKey, firing);
  }
}

function dispatchOptions({
  targets = [aTarget('ops')],
  groupBy = [],
  groupWaitMs = 10 * SECOND,
  groupIntervalMs = 60 * SECOND,
}: WorldOptions): DispatchOptions {
  return {
    route: {
      receiver: 'ops',
      ...{ groupBy, groupWaitMs, groupIntervalMs, repeatIntervalMs: 3_600 * SECOND },
      routes: [{ matchers: ['team="none"'], receiver: 'none' }],
    },
    receivers: [
      { name: 'ops', targets },
      { name: 'none', targets: [] },
    ],
    limitsOf: () => ({ perTargetInFlight: 1, digestBytesMax: 0 }),
    secret,
    resolveTimeoutMs,
  };
}

function aTarget(targetKey: string, over: Partial<DispatchTarget> = {}): DispatchTarget {
  return { channel: 'email', target: { to: targetKey }, targetKey, sendResolved: true, ...over };
}

function anAlert(labels: Record<string, string>, now: number, endsAt?: number): Alert {
  const posted = { labels, ...(endsAt === undefined ? {} : { endsAt: new Date(endsAt).toISOString() }) };
  const result = normaliseAlert(posted, { now, resolveTimeoutMs });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.alert;
}

function idsOf(decisions: Decisions): string[] {
  return decisions.toChanges().publications.map(({ envelope }) => envelope.id);
}
