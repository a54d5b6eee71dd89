import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Content } from './notification.js';
import type { WaitingNotification, WaitingTarget } from './ports.js';
import { SEVERITIES, type Severity } from './severity.js';
import { DIGEST_LINE_OVERHEAD_BYTES, planRelease, RELEASED_PER_TURN_MAX, titleOf } from './waiting-room.js';

const NOW = 100_000;
const robot = { perTargetInFlight: 5, digestBytesMax: 4_000 };
const plan = (targets: WaitingTarget[], limits = robot) => planRelease(targets, () => limits, NOW);
const ids = (waiting: WaitingNotification[]) => waiting.map(({ id }) => id);

describe('waiting room', () => {
  it('lets go what the budget allows, critical first, oldest next', () => {
    const waiting = [
      aWaiting('a', { severity: 'info', waitingSince: 1 }),
      aWaiting('b', { waitingSince: 9 }),
      aWaiting('c', { waitingSince: 2 }),
    ];
    expect(ids(plan([aTarget({ waiting, left: 2 })]).release)).toEqual(['c', 'b']);
  });

  it('lets go no more than may be under way at once', () => {
    const waiting = many(8);
    expect(plan([aTarget({ waiting, left: 20, inFlight: 3 })]).release).toHaveLength(2);
    expect(plan([aTarget({ waiting, budgets: [] })]).release).toHaveLength(5);
  });

  it.each([
    ['the budget is used', { left: 0 }],
    ['the provider blocks it', { left: 5, blockedUntil: NOW + 1 }],
    ['as many as allowed are under way', { left: 5, inFlight: 5 }],
    ['none is due', { left: 5, waiting: [aWaiting('a', { waitingUntil: NOW + 1 })] }],
  ])('keeps all while %s', (_reason, target) => {
    expect(plan([aTarget({ waiting: many(40), ...target })])).toEqual({ release: [], digests: [] });
  });

  it('shares a budget of several targets out over all of them', () => {
    const budgets = [{ name: 'account', windowMs: 60_000, limit: 20, left: 2, blockedUntil: 0 }];
    const one = aTarget({
      waiting: [aWaiting('a', { severity: 'info' }), aWaiting('b', { severity: 'info' })],
      budgets,
    });
    const other = aTarget({ waiting: [aWaiting('c', { severity: 'critical' })], budgets });
    expect(ids(plan([one, other]).release)).toEqual(['c', 'a']);
  });

  it('bounds what one turn lets go', () => {
    const targets = Array.from({ length: 600 }, (_, index) =>
      aTarget({ waiting: [aWaiting(`n${index}`)], budgets: [] }),
    );
    expect(plan(targets).release).toHaveLength(RELEASED_PER_TURN_MAX);
  });

  it('tells in one digest what more than a window can carry', () => {
    const { release, digests } = plan([aTarget({ waiting: many(40), left: 3 })]);
    expect(ids(release)).toEqual(['n00', 'n01', 'n02']);
    expect(digests.map((digest) => digest.length)).toEqual([21]);
    expect(digests[0]?.[0]?.id).toBe('n19');
  });

  it('makes no digest while a window can carry all, or where the channel takes none', () => {
    expect(plan([aTarget({ waiting: many(20), left: 3 })]).digests).toEqual([]);
    expect(plan([aTarget({ waiting: many(40), left: 3 })], { ...robot, digestBytesMax: 0 }).digests).toEqual([]);
    expect(plan([aTarget({ waiting: many(40), budgets: [] })]).digests).toEqual([]);
  });

  it('counts those that it was not shown', () => {
    const { digests } = plan([aTarget({ waiting: many(25), total: 500, left: 1 })]);
    expect(digests.flat()).toHaveLength(6);
  });

  it('never puts a digest into a digest', () => {
    const waiting = [...many(30), aWaiting('zz', { content: { kind: 'digest', covers: [] }, severity: 'info' })];
    const { digests } = plan([aTarget({ waiting, left: 1 })]);
    expect(ids(digests.flat())).not.toContain('zz');
  });

  it('names every member within the limit, each once, for any crowd', () => {
    const text = fc.record({
      kind: fc.constant('text' as const),
      text: fc.string({ minLength: 1, maxLength: 400, unit: 'grapheme' }),
    });
    const crowd = fc.array(fc.record({ content: text, severity: fc.constantFrom(...SEVERITIES) }), { maxLength: 120 });
    fc.assert(
      fc.property(
        crowd,
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 50, max: 3_000 }),
        (contents, limit, digestBytesMax) => {
          const waiting = contents.map((one, index) => aWaiting(`n${index}`, one));
          const budgets = [{ name: 'b', windowMs: 1, limit, left: limit, blockedUntil: 0 }];
          const { release, digests } = plan([aTarget({ waiting, budgets })], {
            perTargetInFlight: 100,
            digestBytesMax,
          });
          for (const members of digests) {
            const bytes = members.reduce(
              (sum, { envelope }) => sum + Buffer.byteLength(titleOf(envelope)) + DIGEST_LINE_OVERHEAD_BYTES,
              0,
            );
            expect(bytes).toBeLessThanOrEqual(digestBytesMax);
            expect(members.length).toBeGreaterThan(1);
          }
          const left = [...ids(release), ...ids(digests.flat())];
          expect(new Set(left).size).toBe(left.length);
          expect(release.length).toBeLessThanOrEqual(limit);
        },
      ),
    );
  });
});

describe('title of a notification', () => {
  it.each([
    ['subject', { kind: 'text', subject: 'Disk full', text: 'x' }, 'Disk full'],
    ['first words of the text, on one line', { kind: 'text', text: 'a\nb' }, 'a b'],
    ['its id when it says nothing', { kind: 'text', text: ' ' }, 'n'],
  ] as [string, Content, string][])('is the %s', (_rule, content, title) => {
    expect(titleOf(aWaiting('n', { content }).envelope)).toBe(title);
  });

  it('is cut, never inside a character', () => {
    const title = titleOf(aWaiting('n', { content: { kind: 'text', text: '😀'.repeat(200) } }).envelope);
    expect(title.length).toBeLessThanOrEqual(120);
    expect(title).toMatch(/^(😀)+…$/u);
  });
});

function many(count: number): WaitingNotification[] {
  return Array.from({ length: count }, (_, index) =>
    aWaiting(`n${String(index).padStart(2, '0')}`, { waitingSince: index }),
  );
}

function aWaiting(id: string, over: Partial<WaitingNotification> & { content?: Content } = {}): WaitingNotification {
  const { content = { kind: 'text', text: `text of ${id}` }, ...rest } = over;
  const severity: Severity = over.severity ?? 'warning';
  const envelope = {
    version: 1 as const,
    id,
    channel: 'dingtalk' as const,
    target: {},
    targetKey: 't',
    severity,
    createdAt: '',
    content,
  };
  return {
    id,
    channel: 'dingtalk',
    targetKey: 't',
    severity,
    waitingSince: 0,
    waitingUntil: 0,
    nextAttempt: 1,
    envelope,
    ...rest,
  };
}

function aTarget(over: Partial<WaitingTarget> & { left?: number; blockedUntil?: number }): WaitingTarget {
  const { left = 20, blockedUntil = 0, waiting = [], ...rest } = over;
  const budgets = [{ name: 'robot', windowMs: 60_000, limit: 20, left, blockedUntil }];
  return { targetKey: 't', channel: 'dingtalk', budgets, inFlight: 0, total: waiting.length, waiting, ...rest };
}
