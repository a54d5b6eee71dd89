import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ClaimAnswer, ClaimRequest, FollowUp, NewDeadLetter, Settlement, WaitingTarget } from '#dispatch';
import { ATTEMPT_MS_MAX } from './attempt-age.js';
import {
  aClaim,
  aDeadLetter,
  aNotification,
  anAlert,
  anEnvelope,
  anOutboxMessage,
  aSettlement,
  changes,
  NOW,
  ROBOT_BUDGET,
} from './builders.contract.js';
import type { Persistence } from './open-persistence.js';

interface OpenedStore {
  persistence: Persistence;
  /** Claims by another run are those of a dead one. */
  ownedByOneProcess: boolean;
  close(): Promise<void>;
}

const GRANTED: ClaimAnswer = { claim: 'granted', mayRepeat: false, isResumed: false, failures: 0 };
const RESUMED: ClaimAnswer = { claim: 'granted', mayRepeat: true, isResumed: true, failures: 0 };
const WAITING: ClaimAnswer = { claim: 'waiting' };
const BUSY: ClaimAnswer = { claim: 'busy' };
const NOTHING: FollowUp = { next: 'none' };

/** What both databases promise. Each story has targets and ids of its own, so that one database serves all. */
export function storeContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(name, () => {
    let store: OpenedStore;
    let stories = 0;
    /** A name nobody used before. */
    let own: (part: string) => string;

    beforeAll(async () => {
      store = await open();
    });
    afterAll(() => store.close());
    beforeEach(() => {
      stories += 1;
      own = (part) => `${stories}-${part}`;
    });

    const dispatcher = () => store.persistence.dispatcher;
    const worker = () => store.persistence.worker;
    const review = () => store.persistence.review;
    const claimOf = (id: string, part: Partial<ClaimRequest> = {}) => {
      const targetKey = own('robot');
      return aClaim(own(id), { envelope: anEnvelope(own(id), { targetKey }), ...part });
    };
    const claim = (...requests: ClaimRequest[]) => worker().claim(requests, NOW);
    const statusOf = async (id: string) => (await review().findNotification(own(id)))?.status;
    const ownBudget = () => ({ ...ROBOT_BUDGET, name: own('budget') });
    const waitingTarget = async (now = NOW, perTargetMax = 100): Promise<WaitingTarget | undefined> => {
      const targets = await dispatcher().waitingTargets(now, perTargetMax);
      return targets.find(({ targetKey }) => targetKey === own('robot'));
    };

    describe('dispatcher', () => {
      it('keeps alerts, groups and log as they were written, and forgets what it is told to', async () => {
        const epoch = await dispatcher().takeEpoch('a', NOW);
        const odd = { 'né\0"\\': 'half \ud800 pair', long: 'x'.repeat(5_000) };
        const alert = anAlert({ fingerprint: own('f'), labels: odd });
        const groups = [own('g1'), `${own('g2')}\0${'long'.repeat(2_000)}`].map((key) => ({
          key,
          receiver: 'ops',
          groupLabels: odd,
          fingerprints: [alert.fingerprint],
          nextFlushAt: NOW,
          flushNumber: 3,
        }));
        const entry = { key: own('l'), groupKey: groups[1]!.key, firing: ['a'], resolved: ['b'], notifiedAt: NOW };
        await dispatcher().commit(epoch, changes({ alerts: [alert], groups, log: [entry] }));
        const stored = await dispatcher().load();
        expect(stored.alerts).toContainEqual(alert);
        expect(stored.groups).toEqual(expect.arrayContaining(groups));
        expect(stored.log).toContainEqual(entry);

        const later = { ...groups[0]!, flushNumber: 4 };
        await dispatcher().commit(
          epoch,
          changes({
            groups: [later],
            alertsForgotten: [own('f')],
            groupsForgotten: [groups[1]!.key],
            logForgotten: [own('l')],
          }),
        );
        const rest = await dispatcher().load();
        expect(rest.alerts).not.toContainEqual(alert);
        expect(rest.groups).toContainEqual(later);
        expect(rest.groups).not.toContainEqual(groups[1]);
        expect(rest.log).not.toContainEqual(entry);
      });

      it('writes nothing for a dispatcher that was superseded', async () => {
        const old = await dispatcher().takeEpoch('a', NOW);
        const current = await dispatcher().takeEpoch('b', NOW);
        expect(current).toBeGreaterThan(old);

        const alert = anAlert({ fingerprint: own('f') });
        expect(await dispatcher().commit(old, changes({ alerts: [alert] }))).toBe('superseded');
        expect((await dispatcher().load()).alerts).not.toContainEqual(alert);
        expect(await dispatcher().commit(current, changes({ alerts: [alert] }))).toEqual({ due: [] });
        expect((await dispatcher().load()).alerts).toContainEqual(alert);
      });

      it('gives a recomputed notification no second message', async () => {
        const epoch = await dispatcher().takeEpoch('a', NOW);
        const message = anOutboxMessage(`${own('n')}/1`);
        const flush = changes({ notifications: [aNotification(own('n'))], outbox: [message] });
        const ownMessages = async () => (await dispatcher().unpublished(1_000)).filter(({ id }) => id === message.id);

        expect(await dispatcher().commit(epoch, flush)).toEqual({ due: [message] });
        expect(await ownMessages()).toEqual([message]);
        await dispatcher().commit(epoch, flush);
        expect(await ownMessages()).toHaveLength(1);
        await dispatcher().markPublished(epoch, [message.id]);
        expect(await dispatcher().commit(epoch, flush)).toEqual({ due: [] });
        expect(await ownMessages()).toEqual([]);
        expect(await statusOf('n')).toBe('queued');
      });

      it('lets a superseded dispatcher take nothing out of the outbox: a row of that id may be new', async () => {
        const old = await dispatcher().takeEpoch('a', NOW);
        const message = anOutboxMessage(`${own('n')}/1`);
        const current = await dispatcher().takeEpoch('b', NOW);
        await dispatcher().commit(current, changes({ outbox: [message] }));
        expect(await dispatcher().markPublished(old, [message.id])).toBe('superseded');
        expect(await dispatcher().unpublished(1_000)).toContainEqual(message);
        expect(await dispatcher().markPublished(current, [message.id])).toBe('marked');
        expect(await dispatcher().markPublished(current, [message.id])).toBe('marked');
        expect(await dispatcher().unpublished(1_000)).not.toContainEqual(message);
      });

      it('takes out what was published before with the next commit, and puts in a row of the same id', async () => {
        const epoch = await dispatcher().takeEpoch('a', NOW);
        const [first, second] = [anOutboxMessage(`${own('n')}/1`), anOutboxMessage(`${own('m')}/1`)];
        await dispatcher().commit(epoch, changes({ outbox: [first, second] }));
        const again = { ...first, headers: { attempt: 1, released: true } };
        const next = changes({ outbox: [again], published: [first.id, second.id] });
        expect(await dispatcher().commit(epoch, next)).toEqual({ due: [again] });
        const left = (await dispatcher().unpublished(1_000)).filter(({ id }) => id === first.id || id === second.id);
        expect(left).toEqual([again]);
        expect(await dispatcher().commit(epoch - 1, changes({ published: [first.id] }))).toBe('superseded');
        expect(await dispatcher().unpublished(1_000)).toContainEqual(again);
      });

      it('hands out unpublished messages in the order of writing', async () => {
        const epoch = await dispatcher().takeEpoch('a', NOW);
        const outbox = ['z', 'a', 'm'].map((id) => anOutboxMessage(`${own(id)}/1`));
        await dispatcher().commit(epoch, changes({ outbox }));
        const messages = (await dispatcher().unpublished(1_000)).filter(({ id }) =>
          outbox.some((message) => message.id === id),
        );
        expect(messages).toEqual(outbox);
      });

      it('tells the timeline of an alert with what became of its notifications', async () => {
        const epoch = await dispatcher().takeEpoch('a', NOW);
        const entry = { at: NOW, fingerprint: own('f'), kind: 'received', detail: { source: 'test' } };
        const notification = aNotification(own('n'), { fingerprints: [own('f')] });
        await dispatcher().commit(epoch, changes({ notifications: [notification], timeline: [entry] }));
        await claim(claimOf('n'));
        await worker().settle([aSettlement(own('n'))]);

        const timeline = await review().alertTimeline(own('f'), 10);
        expect(timeline[0]).toEqual(entry);
        expect(timeline.map(({ kind }) => kind)).toEqual(['received', 'sent']);
        expect((await review().alertTimeline(own('f'), 1)).map(({ kind }) => kind)).toEqual(['sent']);
      });

      it('shows the alerts that fire, also when only memory knows how often they were refreshed', async () => {
        const epoch = await dispatcher().takeEpoch('a', NOW);
        const past = Date.now() - 600_000;
        const firing = anAlert({ fingerprint: own('f1'), updatedAt: past, endsAt: past + 1 });
        const ended = anAlert({ fingerprint: own('f2'), updatedAt: past, endsAt: past });
        await dispatcher().commit(epoch, changes({ alerts: [firing, ended] }));
        const alerts = await review().alerts(1_000);
        expect(alerts).toContainEqual(firing);
        expect(alerts).not.toContainEqual(ended);
      });
    });

    describe('claim', () => {
      it('grants once; a copy is busy, and settled when its attempt is', async () => {
        expect(await claim(claimOf('n'), claimOf('n'))).toEqual([GRANTED, BUSY]);
        expect(await statusOf('n')).toBe('sending');
        await worker().settle([aSettlement(own('n'))]);
        expect(await claim(claimOf('n'))).toEqual([{ claim: 'settled', followUp: NOTHING }]);
        expect(await claim(claimOf('n', { attempt: 2 }))).toEqual([{ claim: 'settled', followUp: NOTHING }]);
        expect(await review().findNotification(own('n'))).toMatchObject({
          status: 'sent',
          attempts: [{ number: 1, at: NOW, outcome: 'accepted', providerCode: '0', durationMs: 10, mayRepeat: false }],
        });
      });

      it('answers in the order of the requests', async () => {
        const answers = await claim(claimOf('a'), claimOf('b', { perTargetInFlight: 1 }), claimOf('a'));
        expect(answers).toEqual([GRANTED, WAITING, BUSY]);
      });

      it('names what follows an attempt, so that a copy finishes the work', async () => {
        const followUp: FollowUp = { next: 'retry', attempt: 2, delayMs: 5_000 };
        await claim(claimOf('n'));
        await worker().settle([
          aSettlement(own('n'), { outcome: { outcome: 'retryable', reason: 'network' }, followUp }),
        ]);
        expect(await statusOf('n')).toBe('retrying');
        expect(await claim(claimOf('n'))).toEqual([{ claim: 'settled', followUp }]);
        expect(await claim(claimOf('n', { attempt: 2 }))).toEqual([{ ...GRANTED, failures: 1 }]);
      });

      it('spends budgets, and lets wait what they do not allow', async () => {
        const budgets = [ownBudget()];
        const requests = ['a', 'b', 'c'].map((id) => claimOf(id, { budgets }));
        expect(await claim(...requests)).toEqual([GRANTED, GRANTED, WAITING]);
        expect(await statusOf('c')).toBe('waiting');
        expect(await waitingTarget()).toMatchObject({
          total: 1,
          inFlight: 2,
          budgets: [{ ...budgets[0], left: 0, blockedUntil: 0 }],
          waiting: [{ id: own('c'), nextAttempt: 1, waitingSince: NOW, waitingUntil: 0, severity: 'warning' }],
        });
        expect(await waitingTarget(NOW + 60_000)).toMatchObject({ budgets: [{ left: 2 }] });
      });

      it('lets nobody pass those who wait, except who was let go', async () => {
        const budgets = [ownBudget()];
        await claim(...['a', 'b', 'c'].map((id) => claimOf(id, { budgets })));
        const later = NOW + 60_000;
        expect(await worker().claim([claimOf('d', { budgets })], later)).toEqual([WAITING]);
        expect(await worker().claim([claimOf('c', { budgets })], later)).toEqual([WAITING]);

        const epoch = await dispatcher().takeEpoch('a', NOW);
        await dispatcher().commit(epoch, changes({ released: [own('c')], outbox: [anOutboxMessage(`${own('c')}/1`)] }));
        expect(await statusOf('c')).toBe('queued');
        expect(await worker().claim([claimOf('c', { budgets, released: true })], later)).toEqual([GRANTED]);
      });

      it('is not let go once more when a worker was quicker than the dispatcher', async () => {
        await claim(claimOf('a', { perTargetInFlight: 0 }));
        const epoch = await dispatcher().takeEpoch('a', NOW);
        const entry = { at: NOW, notificationId: own('a'), fingerprint: own('f'), kind: 'released', detail: {} };
        const message = anOutboxMessage(`${own('a')}/1`);
        const release = changes({ released: [own('a')], outbox: [message], timeline: [entry] });
        expect(await dispatcher().commit(epoch, release)).toEqual({ due: [message] });
        await claim(claimOf('a', { released: true }));
        expect(await dispatcher().commit(epoch, release)).toEqual({ due: [] });
        expect(await statusOf('a')).toBe('sending');
        expect(await review().alertTimeline(own('f'), 10)).toEqual([entry]);
      });

      it('keeps the place of who was let go and has to wait again', async () => {
        const budgets = [ownBudget()];
        await claim(...['a', 'b', 'c'].map((id) => claimOf(id, { budgets })));
        const epoch = await dispatcher().takeEpoch('a', NOW);
        await dispatcher().commit(epoch, changes({ released: [own('c')] }));
        expect(await worker().claim([claimOf('c', { budgets, released: true })], NOW + 50)).toEqual([WAITING]);
        expect((await waitingTarget())?.waiting).toMatchObject([{ id: own('c'), waitingSince: NOW }]);
      });

      it('lets a target have no more sends under way than it may', async () => {
        const part = { perTargetInFlight: 2 };
        expect(await claim(claimOf('a', part), claimOf('b', part), claimOf('c', part))).toEqual([
          GRANTED,
          GRANTED,
          WAITING,
        ]);
        await worker().settle([aSettlement(own('a'))]);
        expect(await claim(claimOf('c', { ...part, released: true }))).toEqual([GRANTED]);
      });

      it('finds an abandoned attempt, marks its repeat and says so', async () => {
        await claim(claimOf('n'));
        const other = claimOf('n', { claimedBy: 'run-b' });
        const soon = await worker().claim([other], NOW + 1_000);
        expect(soon).toEqual([store.ownedByOneProcess ? RESUMED : BUSY]);
        expect(await worker().claim([other], NOW + 1_000 + ATTEMPT_MS_MAX)).toEqual([RESUMED]);
        expect((await review().findNotification(own('n')))?.attempts).toMatchObject([{ number: 1, mayRepeat: true }]);
      });

      it('repeats an abandoned attempt only within the budget', async () => {
        const budgets = [{ ...ownBudget(), limit: 1, windowMs: 4 * ATTEMPT_MS_MAX }];
        await claim(claimOf('n', { budgets }));
        const other = claimOf('n', { budgets, claimedBy: 'run-b' });
        const abandoned = NOW + ATTEMPT_MS_MAX;
        expect(await worker().claim([other], abandoned)).toEqual([WAITING]);

        const epoch = await dispatcher().takeEpoch('a', NOW);
        await dispatcher().commit(epoch, changes({ released: [own('n')] }));
        const released = { ...other, released: true };
        expect(await worker().claim([released], NOW + 4 * ATTEMPT_MS_MAX)).toEqual([RESUMED]);
      });

      it('serves calls that come at once, each with its own answers', async () => {
        const calls = Array.from({ length: 30 }, (_, index) => claim(claimOf(`n${index}`), claimOf(`m${index}`)));
        expect(await Promise.all(calls)).toEqual(calls.map(() => [GRANTED, GRANTED]));
      });

      it('fails one call for its own fault only', async () => {
        const broken = claimOf('broken', { attempt: Number.NaN });
        const calls = [claim(claimOf('a')), claim(broken), claim(claimOf('b'))];
        const results = await Promise.allSettled(calls);
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      });
    });

    describe('settle', () => {
      it('closes the budget that the provider closed, and puts the notification into the waiting room', async () => {
        const budgets = [ownBudget()];
        const until = NOW + 600_000;
        await claim(claimOf('a', { budgets }));
        await worker().settle([
          aSettlement(own('a'), {
            outcome: { outcome: 'rate-limited', blockedForMs: 600_000, providerCode: '410100' },
            followUp: { next: 'wait', attempt: 2, until },
            blocks: [{ budget: own('budget'), until }],
          }),
        ]);
        expect(await waitingTarget()).toMatchObject({
          budgets: [{ left: 0, blockedUntil: until }],
          waiting: [{ id: own('a'), nextAttempt: 2, waitingUntil: until }],
        });
        expect(await claim(claimOf('b', { budgets, released: true }))).toEqual([WAITING]);
        const waiting = (await waitingTarget())?.waiting.find(({ id }) => id === own('b'));
        expect(waiting?.waitingUntil).toBe(until);
        expect(await worker().claim([claimOf('b', { budgets, released: true })], until)).toEqual([GRANTED]);
      });

      it('changes nothing when it comes again, but never loses an acceptance', async () => {
        const failed = aSettlement(own('n'), {
          outcome: { outcome: 'permanent', reason: 'recipient' },
          followUp: { next: 'dead', reason: 'recipient' },
        });
        await claim(claimOf('n'));
        await worker().settle([failed]);
        await worker().settle([
          aSettlement(own('n'), { ...failed, followUp: { next: 'retry', attempt: 2, delayMs: 1 } }),
        ]);
        expect(await review().findNotification(own('n'))).toMatchObject({ status: 'dead', reason: 'recipient' });
        await worker().settle([aSettlement(own('n'))]);
        await worker().settle([failed]);
        expect(await statusOf('n')).toBe('sent');
      });

      it('counts what failed, not what was limited or aborted, and counts it once', async () => {
        const retry = (attempt: number): FollowUp => ({ next: 'retry', attempt, delayMs: 5_000 });
        const busy = { outcome: 'retryable', reason: 'provider-busy' } as const;
        const ends: Partial<Settlement>[] = [
          { outcome: busy, followUp: retry(2) },
          {
            outcome: { outcome: 'rate-limited', blockedForMs: 1 },
            followUp: { next: 'wait', attempt: 3, until: NOW },
          },
          { outcome: { outcome: 'retryable', reason: 'aborted' }, followUp: retry(4) },
          { outcome: { outcome: 'unknown', reason: 'no-answer' }, followUp: retry(5) },
        ];
        const failures: unknown[] = [];
        for (const [index, end] of [...ends, {}].entries()) {
          const [answer] = await claim(claimOf('n', { attempt: index + 1, released: true }));
          failures.push(answer?.claim === 'granted' ? answer.failures : answer);
          const settlement = aSettlement(own('n'), { attempt: index + 1, ...end });
          await worker().settle([settlement, settlement]);
          await worker().settle([settlement]);
        }
        expect(failures).toEqual([0, 1, 1, 1, 2]);
      });

      it('says from then on that the person may have been told, once an attempt had no answer', async () => {
        const retry = (attempt: number): FollowUp => ({ next: 'retry', attempt, delayMs: 5_000 });
        await claim(claimOf('n'));
        const silent = { outcome: 'unknown', reason: 'no-answer' } as const;
        await worker().settle([aSettlement(own('n'), { outcome: silent, followUp: retry(2) })]);
        expect(await claim(claimOf('n', { attempt: 2 }))).toEqual([{ ...GRANTED, mayRepeat: true, failures: 1 }]);
        const busy = { outcome: 'retryable', reason: 'provider-busy' } as const;
        await worker().settle([aSettlement(own('n'), { attempt: 2, outcome: busy, followUp: retry(3) })]);
        expect(await claim(claimOf('n', { attempt: 3 }))).toEqual([{ ...GRANTED, mayRepeat: true, failures: 2 }]);
        const { attempts = [] } = (await review().findNotification(own('n'))) ?? {};
        expect(attempts.map(({ mayRepeat }) => mayRepeat)).toEqual([false, true, true]);
      });

      it('suppresses what was not due any more', async () => {
        await claim(claimOf('n'));
        const outcome = { outcome: 'permanent', reason: 'refused', providerMessage: 'it expired' } as const;
        await worker().settle([aSettlement(own('n'), { outcome, suppressed: 'expired' })]);
        expect(await review().findNotification(own('n'))).toMatchObject({
          status: 'suppressed',
          reason: 'expired',
          attempts: [{ outcome: 'suppressed', reason: 'expired', providerMessage: 'it expired' }],
        });
      });
    });

    describe('digest', () => {
      const digestOf = (...ids: string[]) => {
        const covers = ids.map((id) => ({ id: own(id), severity: 'warning' as const, title: id }));
        const envelope = anEnvelope(own('digest'), { targetKey: own('robot'), content: { kind: 'digest', covers } });
        return changes({
          notifications: [aNotification(own('digest'), { envelope })],
          digested: ids.map((id) => ({ id: own(id), digestId: own('digest') })),
          outbox: [anOutboxMessage(`${own('digest')}/1`)],
        });
      };
      const waitFor = (...ids: string[]) => claim(...ids.map((id) => claimOf(id, { perTargetInFlight: 0 })));
      const dies = () =>
        aSettlement(own('digest'), {
          outcome: { outcome: 'permanent', reason: 'content' },
          followUp: { next: 'dead', reason: 'content' },
        });

      it('makes what it tells sent when it is sent', async () => {
        await waitFor('a', 'b');
        const epoch = await dispatcher().takeEpoch('a', NOW);
        await dispatcher().commit(epoch, digestOf('a', 'b'));
        expect(await waitingTarget()).toBeUndefined();
        expect(await review().findNotification(own('a'))).toMatchObject({ status: 'waiting', via: own('digest') });
        // A stale copy must not tell it beside the digest.
        expect(await claim(claimOf('a', { released: true }))).toEqual([WAITING]);

        expect(await claim(claimOf('digest'))).toEqual([GRANTED]);
        await worker().settle([aSettlement(own('digest'))]);
        expect([await statusOf('a'), await statusOf('b')]).toEqual(['sent', 'sent']);
        expect(await claim(claimOf('a'))).toEqual([{ claim: 'settled', followUp: NOTHING }]);
      });

      it('may repeat what one of its members may have told', async () => {
        await claim(claimOf('a'));
        const silent = { outcome: 'unknown', reason: 'no-answer' } as const;
        const followUp: FollowUp = { next: 'retry', attempt: 2, delayMs: 5_000 };
        await worker().settle([aSettlement(own('a'), { outcome: silent, followUp })]);
        await claim(claimOf('a', { attempt: 2, perTargetInFlight: 0 }));
        await waitFor('b');
        const epoch = await dispatcher().takeEpoch('a', NOW);
        await dispatcher().commit(epoch, digestOf('a', 'b'));
        expect(await claim(claimOf('digest'))).toEqual([{ ...GRANTED, mayRepeat: true }]);
      });

      it('may repeat what a worker that ended in the middle of it may have told', async () => {
        const budgets = [{ ...ownBudget(), limit: 1, windowMs: 4 * ATTEMPT_MS_MAX }];
        await claim(claimOf('a', { budgets }));
        await worker().claim([claimOf('a', { budgets, claimedBy: 'run-b' })], NOW + ATTEMPT_MS_MAX);
        await waitFor('b');
        const epoch = await dispatcher().takeEpoch('a', NOW);
        await dispatcher().commit(epoch, digestOf('a', 'b'));
        expect(await claim(claimOf('digest'))).toEqual([{ ...GRANTED, mayRepeat: true }]);
      });

      it('is not made when a member no longer waits: nobody is told twice, and the others wait on', async () => {
        await waitFor('a', 'b');
        const epoch = await dispatcher().takeEpoch('a', NOW);
        await dispatcher().commit(epoch, changes({ released: [own('a')] }));
        const entry = { at: NOW, notificationId: own('b'), fingerprint: own('f'), kind: 'digested', detail: {} };
        expect(await dispatcher().commit(epoch, { ...digestOf('a', 'b'), timeline: [entry] })).toEqual({ due: [] });
        expect(await review().findNotification(own('a'))).toMatchObject({ status: 'queued', via: undefined });
        expect(await review().findNotification(own('b'))).toMatchObject({ status: 'waiting', via: undefined });
        expect(await review().findNotification(own('digest'))).toBeUndefined();
        expect(await review().alertTimeline(own('f'), 10)).toEqual([]);
      });

      it('takes what it tells with it when it dies, and mends it when its replay is sent', async () => {
        await waitFor('a', 'b');
        const epoch = await dispatcher().takeEpoch('a', NOW);
        await dispatcher().commit(epoch, digestOf('a', 'b'));
        await claim(claimOf('digest'));
        await worker().settle([dies()]);
        expect(await review().findNotification(own('b'))).toMatchObject({ status: 'dead', reason: 'digest-dead' });

        await review().addDeadLetters([aDeadLetter(own('digest'))]);
        const replay = await review().beginReplay(`${own('digest')}/1`, 'admin', NOW);
        await review().endReplay(`${own('digest')}/1`, 'replayed', NOW);
        expect(await claim(claimOf('digest', { attempt: replay!.attempt }))).toEqual([GRANTED]);
        await worker().settle([aSettlement(own('digest'), { attempt: replay!.attempt })]);
        expect([await statusOf('a'), await statusOf('b')]).toEqual(['sent', 'sent']);
      });
    });

    describe('waiting room', () => {
      it('names the most urgent first, then the oldest, and no more than asked for', async () => {
        const severities = { a: 'info', b: 'critical', c: 'error', d: 'critical' } as const;
        for (const [index, [id, severity]] of Object.entries(severities).entries()) {
          const envelope = anEnvelope(own(id), { targetKey: own('robot'), severity });
          await worker().claim([claimOf(id, { envelope, perTargetInFlight: 0 })], NOW - index);
        }
        const target = await waitingTarget(NOW, 3);
        expect(target?.total).toBe(4);
        expect(target?.waiting.map(({ id }) => id)).toEqual(['d', 'b', 'c'].map(own));
        expect(target?.waiting[0]?.envelope).toMatchObject({ id: own('d'), severity: 'critical' });
      });
    });

    describe('dead letters', () => {
      const dead = async (id: string) => {
        await claim(claimOf(id));
        await worker().settle([
          aSettlement(own(id), {
            outcome: { outcome: 'permanent', reason: 'refused' },
            followUp: { next: 'dead', reason: 'refused' },
          }),
        ]);
        await review().addDeadLetters([aDeadLetter(own(id))]);
        return `${own(id)}/1`;
      };

      it('keeps one letter, however often it is stored, and shows no secret', async () => {
        const id = await dead('n');
        await review().addDeadLetters([aDeadLetter(own('n'), { detail: 'other' })]);
        expect(await review().findDeadLetter(id)).toEqual({
          ...aDeadLetter(own('n')),
          status: 'open',
          target: { token: '***' },
          resolvedAt: undefined,
        });
      });

      const raw = (part: Partial<NewDeadLetter> = {}): NewDeadLetter => {
        const letter = { id: own('raw'), reason: 'unparseable', attempts: 0, failedAt: NOW } as const;
        return { ...letter, payload: 'bm8=', detail: 'x\0y', ...part };
      };
      const replayRaw = async (now: number) => {
        await review().beginReplay(own('raw'), 'admin', now);
        await review().endReplay(own('raw'), 'replayed', now);
      };
      const discardRaw = (now: number) => review().discard(own('raw'), 'admin', now);

      it('keeps the raw body of what could not be parsed', async () => {
        const letter = raw();
        await review().addDeadLetters([letter]);
        expect(await review().findDeadLetter(letter.id)).toMatchObject({
          payload: 'bm8=',
          detail: 'x\ufffdy',
          target: undefined,
        });
      });

      it.each([
        ['replayed', replayRaw],
        ['discarded', discardRaw],
      ])('opens the letter of a raw body again when it fails after it was %s', async (status, resolve) => {
        await review().addDeadLetters([raw()]);
        await review().addDeadLetters([raw({ failedAt: NOW + 5, detail: 'while open: the same' })]);
        expect(await review().findDeadLetter(own('raw'))).toMatchObject({ failedAt: NOW, detail: 'x\ufffdy' });
        await resolve(NOW + 10);
        await review().addDeadLetters([raw()]);
        expect(await review().findDeadLetter(own('raw'))).toMatchObject({ status, resolvedAt: NOW + 10 });

        await review().addDeadLetters([raw({ failedAt: NOW + 20, detail: 'again' })]);
        const again = { status: 'open', failedAt: NOW + 20, detail: 'again', resolvedAt: undefined };
        expect(await review().findDeadLetter(own('raw'))).toMatchObject(again);
      });

      it('leaves open a raw body whose replay failed before the end of the replay was noted', async () => {
        await review().addDeadLetters([raw()]);
        await review().beginReplay(own('raw'), 'admin', NOW + 10);
        await review().addDeadLetters([raw({ failedAt: NOW + 20 })]);
        await review().endReplay(own('raw'), 'replayed', NOW + 30);
        expect(await review().findDeadLetter(own('raw'))).toMatchObject({ status: 'open', failedAt: NOW + 20 });
        expect((await review().unfinishedReplays(100)).map(({ letter }) => letter.id)).not.toContain(own('raw'));
      });

      it('has a letter for each time that a notification failed, and a late copy of the first changes nothing', async () => {
        const id = await dead('n');
        const { attempt } = (await review().beginReplay(id, 'admin', NOW))!;
        await review().endReplay(id, 'replayed', NOW);
        const failed: Partial<Settlement> = {
          attempt,
          outcome: { outcome: 'permanent', reason: 'refused' },
          followUp: { next: 'dead', reason: 'refused' },
        };
        await claim(claimOf('n', { attempt, released: true }));
        await worker().settle([aSettlement(own('n'), failed)]);
        const second = aDeadLetter(own('n'), { id: `${own('n')}/${attempt}`, attempts: attempt });
        await review().addDeadLetters([aDeadLetter(own('n'), { failedAt: NOW + 99 }), second]);
        expect(await review().findDeadLetter(id)).toMatchObject({ status: 'replayed' });
        expect(await review().findDeadLetter(second.id)).toMatchObject({ status: 'open' });
      });

      it('replays once, under an attempt of its own', async () => {
        const id = await dead('n');
        const replays = await Promise.all([review().beginReplay(id, 'a', NOW), review().beginReplay(id, 'b', NOW)]);
        expect(replays.filter((replay) => replay !== undefined)).toMatchObject([
          { letter: { id, status: 'replaying' }, attempt: 2 },
        ]);
        expect(await statusOf('n')).toBe('retrying');
        expect((await review().unfinishedReplays(100)).find(({ letter }) => letter.id === id)?.attempt).toBe(2);

        await review().endReplay(id, 'replayed', NOW);
        expect(await statusOf('n')).toBe('queued');
        expect(await review().findDeadLetter(id)).toMatchObject({ status: 'replayed', resolvedAt: NOW });
        expect(await claim(claimOf('n', { attempt: 2 }))).toEqual([GRANTED]);
        await review().addDeadLetters([aDeadLetter(own('n'))]);
        expect(await statusOf('n')).toBe('sending');
      });

      it('begins the retry ladder anew with a replay', async () => {
        await claim(claimOf('n'));
        const failed: Partial<Settlement> = {
          outcome: { outcome: 'retryable', reason: 'network' },
          followUp: { next: 'dead', reason: 'exhausted' },
        };
        await worker().settle([aSettlement(own('n'), failed)]);
        await review().addDeadLetters([aDeadLetter(own('n'))]);
        const replay = await review().beginReplay(`${own('n')}/1`, 'admin', NOW);
        expect(await claim(claimOf('n', { attempt: replay!.attempt, released: true }))).toEqual([GRANTED]);
      });

      it('is dead and open again when a replay could not be published', async () => {
        const id = await dead('n');
        await review().beginReplay(id, 'a', NOW);
        await review().endReplay(id, 'open', NOW);
        expect(await statusOf('n')).toBe('dead');
        expect(await review().findDeadLetter(id)).toMatchObject({ status: 'open', resolvedAt: undefined });
      });

      it('leaves the status to an attempt that was quicker than the end of its replay', async () => {
        const id = await dead('n');
        await review().beginReplay(id, 'a', NOW);
        await claim(claimOf('n', { attempt: 2 }));
        const followUp: FollowUp = { next: 'retry', attempt: 3, delayMs: 1 };
        await worker().settle([
          aSettlement(own('n'), { attempt: 2, outcome: { outcome: 'retryable', reason: 'network' }, followUp }),
        ]);
        await review().endReplay(id, 'replayed', NOW);
        expect(await statusOf('n')).toBe('retrying');
      });

      it('discards once, and then replays no more', async () => {
        const id = await dead('n');
        expect(await review().discard(id, 'admin', NOW)).toBe(true);
        expect(await review().discard(id, 'admin', NOW)).toBe(false);
        expect(await review().beginReplay(id, 'admin', NOW)).toBeUndefined();
        expect(await review().findDeadLetter(id)).toMatchObject({ status: 'discarded', resolvedAt: NOW });
      });

      it('answers in pages, newest first, by channel, reason and text', async () => {
        const letters = Array.from({ length: 5 }, (_, index) => {
          return aDeadLetter(own(`n${index}`), { failedAt: NOW + index, detail: own(index === 3 ? 'Other%' : 'page') });
        });
        await review().addDeadLetters(letters);
        const query = { q: own('PAGE'), channel: 'dingtalk', reason: 'refused', limit: 2 };
        const first = await review().deadLetters(query);
        const second = await review().deadLetters({ ...query, cursor: first.nextCursor });
        const ids = [...first.items, ...second.items].map(({ id }) => id);
        expect(ids).toEqual([4, 2, 1, 0].map((index) => `${own(`n${index}`)}/1`));
        expect((await review().deadLetters({ q: own('other%'), limit: 10 })).items).toHaveLength(1);
        expect((await review().deadLetters({ ...query, channel: 'email' })).items).toEqual([]);
        await expect(review().deadLetters({ limit: 1, cursor: 'nonsense' })).rejects.toThrow('cursor');
      });
    });

    describe('retention', () => {
      it('forgets what is finished, in slices, and keeps what can still be replayed', async () => {
        const long = NOW + 1e9;
        const old = ['a', 'b', 'c'];
        await claim(...old.map((id) => claimOf(id)));
        await worker().settle(old.map((id) => aSettlement(own(id))));
        await claim(claimOf('open'), claimOf('going'));
        await review().addDeadLetters([aDeadLetter(own('open')), aDeadLetter(own('gone'))]);
        await review().discard(`${own('gone')}/1`, 'admin', NOW);

        expect(await dispatcher().forgetBefore(long, 2)).toBe(2);
        while ((await dispatcher().forgetBefore(long, 500)) === 500);
        for (const id of old) expect(await statusOf(id)).toBeUndefined();
        expect(await statusOf('open')).toBe('dead');
        expect(await statusOf('going')).toBe('sending');
        expect(await review().findDeadLetter(`${own('gone')}/1`)).toBeUndefined();
        expect(await review().findDeadLetter(`${own('open')}/1`)).toBeDefined();
      });

      it('keeps what a dead digest covers as long as the digest can be replayed', async () => {
        const members = ['a', 'b'];
        await claim(...members.map((id) => claimOf(id, { perTargetInFlight: 0 })));
        const epoch = await dispatcher().takeEpoch('a', NOW);
        const digested = members.map((id) => ({ id: own(id), digestId: own('digest') }));
        const digest = aNotification(own('digest'), {
          envelope: anEnvelope(own('digest'), { targetKey: own('robot') }),
        });
        await dispatcher().commit(epoch, changes({ notifications: [digest], digested }));
        await claim(claimOf('digest'));
        const outcome = { outcome: 'permanent', reason: 'content' } as const;
        await worker().settle([aSettlement(own('digest'), { outcome, followUp: { next: 'dead', reason: 'content' } })]);
        await review().addDeadLetters([aDeadLetter(own('digest'))]);

        while ((await dispatcher().forgetBefore(NOW + 1e9, 500)) === 500);
        expect([await statusOf('a'), await statusOf('digest')]).toEqual(['dead', 'dead']);
        await review().discard(`${own('digest')}/1`, 'admin', NOW);
        while ((await dispatcher().forgetBefore(NOW + 1e9, 500)) === 500);
        expect([await statusOf('a'), await statusOf('digest')]).toEqual([undefined, undefined]);
      });
    });

    it('answers a ping', async () => {
      await expect(store.persistence.ping()).resolves.toBeUndefined();
    });
  });
}
