import { describe, expect, it } from '@jest/globals';
import type { Envelope, GroupContent, WaitingTarget } from '#dispatch';
import type { OutgoingMessage } from '#messaging';
import { aConfiguration, isReleased, Machine, type Process } from './dispatcher.fixture.js';

const SECOND = 1_000;
const anAlert = (a: string, group = 'g') => ({ labels: { a, group } });

describe('dispatcher', () => {
  it('tells what it takes, and acks', async () => {
    const machine = new Machine();
    machine.start();
    machine.broker.post([anAlert('1'), anAlert('2')]);
    await machine.settle();
    expect(toldBy(machine)).toEqual({ 'email:ops': ['1', '2'], 'dingtalk:robot': ['1', '2'] });
    expect(machine.broker.unsettled).toBe(0);
    expect(JSON.stringify(machine.broker.notifications)).not.toContain('s3cret');
  });

  it('empties its outbox with the next commit, at the next tick, or when it stops', async () => {
    const machine = new Machine();
    const { dispatcher } = machine.start(withRoute({ groupWaitMs: 0 }));
    const left = () =>
      [...machine.database.outbox.values()].map(({ body }) => JSON.parse(body).content.alerts[0].labels.a);
    machine.broker.post(anAlert('1'));
    await machine.settle();
    expect(left()).toEqual(['1', '1']);
    machine.broker.post(anAlert('2', 'other'));
    await machine.settle();
    expect(left()).toEqual(['2', '2']);
    await machine.advance(SECOND);
    expect(left()).toEqual([]);

    machine.broker.post(anAlert('3', 'third'));
    await machine.settle();
    expect(left()).toEqual(['3', '3']);
    await dispatcher.stop();
    expect(left()).toEqual([]);
  });

  it('tells what fired when it was accepted, though it ended while no dispatcher was there', async () => {
    const machine = new Machine();
    const at = (ms: number) => new Date(machine.now + ms).toISOString();
    const accepted = { headers: { acceptedAt: at(0) } };
    machine.broker.post({ ...anAlert('fired'), endsAt: at(60 * SECOND) }, accepted);
    machine.broker.post({ ...anAlert('over'), endsAt: at(-SECOND) }, accepted);
    await machine.advance(3_600 * SECOND);
    machine.start();
    await machine.advance(SECOND);
    expect(toldBy(machine)['email:ops']).toEqual(['fired']);
  });

  it('takes 1,000 alerts in 20 groups through a kill inside groupWait', async () => {
    const machine = new Machine();
    const configuration = withRoute({ groupWaitMs: 10 * SECOND });
    const first = machine.start(configuration);
    machine.broker.post(Array.from({ length: 1_000 }, (_, index) => anAlert(String(index), String(index % 20))));
    await machine.advance(5 * SECOND);
    first.kill();
    machine.start(configuration);
    await machine.advance(10 * SECOND);
    expect(machine.database.notifications.size).toBe(40);
    for (const told of Object.values(toldBy(machine))) expect(new Set(told).size).toBe(1_000);
  });

  it('loses nothing and repeats only under the same ids, wherever it is killed', async () => {
    // Short, since each second between two flushes is a tick that is told and a step to be killed at like any other.
    const configuration = withRoute({ groupIntervalMs: 6 * SECOND });
    const story = async (killAt: number) => {
      const machine = new Machine();
      const first = machine.start(configuration, killAt);
      let second: Process | undefined;
      const pass = async (ms: number) => {
        await machine.advance(ms);
        if (first.isAlive || second) return;
        second = machine.start(configuration);
        await machine.advance(ms);
      };
      machine.broker.post([anAlert('1', 'x'), anAlert('2', 'y')]);
      await pass(0);
      machine.broker.post(anAlert('3', 'x'));
      machine.broker.post('{');
      await pass(7 * SECOND);
      machine.broker.post({ ...anAlert('2', 'y'), endsAt: new Date(machine.now).toISOString() });
      await pass(7 * SECOND);
      return { machine, wasKilled: !first.isAlive };
    };

    let kills = 0;
    for (let killAt = 1; ; killAt++) {
      const { machine, wasKilled } = await story(killAt);
      const where = `killed at step ${killAt}, ${machine.steps.at(killAt - 1)}`;
      expect([where, machine.broker.unsettled, machine.database.outbox.size]).toEqual([where, 0, 0]);
      expect([where, [...new Set(toldBy(machine)['email:ops'])].sort()]).toEqual([where, ['1', '2', '3']]);
      expect([where, machine.broker.dead.length >= 1]).toEqual([where, true]);
      expect([where, endsTold(machine)]).toEqual([where, ['2']]);
      // Each alert's first telling to a target has one id, however often it was published.
      for (const a of ['1', '2', '3']) expect([where, firstTellings(machine, 'email:ops', a).size]).toEqual([where, 1]);
      if (!wasKilled) break;
      kills += 1;
    }
    expect(kills).toBeGreaterThan(40);
  });

  it('publishes what the outbox still holds before it decides anything', async () => {
    const machine = new Machine();
    machine.broker.failure = new Error('no confirm');
    const first = machine.start();
    machine.broker.post(anAlert('1'));
    await machine.settle();
    expect(machine.database.outbox.size).toBe(2);
    first.kill();
    machine.broker.failure = undefined;

    machine.steps.length = 0;
    machine.start();
    machine.broker.post(anAlert('2', 'other'));
    await machine.settle();
    expect(machine.steps.indexOf('publish')).toBeLessThan(machine.steps.indexOf('commit'));
    expect(toldBy(machine)['email:ops']).toEqual(['1', '2']);
  });

  it('commits while the turn before is being published, and publishes and acks in order', async () => {
    const machine = new Machine();
    machine.start();
    const letGo = machine.broker.hold();
    for (const a of ['1', '2', '3']) {
      machine.broker.post(anAlert(a, a));
      await machine.settle();
    }
    expect(machine.database.alerts.size).toBe(2);
    expect([machine.broker.notifications.length, machine.broker.unsettled]).toEqual([0, 3]);
    letGo();
    await machine.settle();
    expect(toldBy(machine)['email:ops']).toEqual(['1', '2', '3']);
    expect(machine.broker.unsettled).toBe(0);
  });

  it('hands back what was being published and what was committed behind it, and tells both when it can', async () => {
    const machine = new Machine();
    const { dispatcher } = machine.start();
    const letGo = machine.broker.hold();
    for (const a of ['1', '2']) {
      machine.broker.post(anAlert(a, a));
      await machine.settle();
    }
    machine.broker.failure = new Error('no confirm');
    letGo();
    await machine.settle();
    expect(dispatcher.isActive).toBe(false);
    expect([machine.broker.unsettled, machine.database.outbox.size]).toEqual([2, 4]);

    machine.broker.failure = undefined;
    await machine.advance(5 * SECOND);
    expect(toldBy(machine)['email:ops']).toEqual(['1', '2']);
    expect([machine.broker.unsettled, machine.database.outbox.size]).toEqual([0, 0]);
  });

  it('loses nothing wherever it is killed while two turns overlap', async () => {
    for (let killAt = 1; ; killAt++) {
      const machine = new Machine();
      const first = machine.start({}, killAt);
      const letGo = machine.broker.hold();
      for (const a of ['1', '2']) {
        machine.broker.post(anAlert(a, a));
        await machine.settle();
      }
      letGo();
      await machine.advance(2 * SECOND);
      if (!first.isAlive) machine.start();
      await machine.advance(2 * SECOND);
      const where = `killed at step ${killAt}, ${machine.steps.at(killAt - 1)}`;
      expect([where, machine.broker.unsettled, machine.database.outbox.size]).toEqual([where, 0, 0]);
      for (const a of ['1', '2']) expect([where, firstTellings(machine, 'email:ops', a).size]).toEqual([where, 1]);
      if (first.isAlive) break;
    }
  });

  it('looks at what waits only when nothing is being published', async () => {
    const machine = new Machine();
    machine.start();
    await machine.advance(2 * SECOND);
    const letGo = machine.broker.hold();
    machine.broker.post(anAlert('1'));
    await machine.settle();
    machine.steps.length = 0;
    await machine.advance(2 * SECOND);
    expect(machine.steps).not.toContain('waitingTargets');
    letGo();
    await machine.advance(2 * SECOND);
    expect(machine.steps.indexOf('publish')).toBeLessThan(machine.steps.indexOf('waitingTargets'));
  });

  it('ticks each second, and a tick alone makes it active', async () => {
    const machine = new Machine();
    const { dispatcher } = machine.start();
    expect(dispatcher.isActive).toBe(false);
    await machine.advance(SECOND);
    expect(dispatcher.isActive).toBe(true);
    expect(machine.database.epoch).toBe(1);
  });

  it('leaves a second process in standby, which takes over when the first is killed', async () => {
    const machine = new Machine();
    const first = machine.start();
    const second = machine.start();
    machine.broker.post(anAlert('1'));
    await machine.advance(2 * SECOND);
    expect([first.dispatcher.isActive, second.dispatcher.isActive]).toEqual([true, false]);
    first.kill();
    await machine.advance(2 * SECOND);
    expect(second.dispatcher.isActive).toBe(true);
    expect(toldBy(machine)['email:ops']).toEqual(['1']);
  });

  it('stops when another took a later epoch, hands back, and queues up again', async () => {
    const machine = new Machine();
    const { dispatcher } = machine.start();
    await machine.advance(SECOND);
    machine.database.epoch = 7;
    machine.broker.post(anAlert('1'));
    await machine.settle();
    expect(dispatcher.isActive).toBe(false);
    expect(machine.broker.unsettled).toBe(1);
    expect(machine.broker.notifications).toEqual([]);

    await machine.advance(2 * SECOND);
    expect(dispatcher.isActive).toBe(true);
    expect(machine.database.epoch).toBe(8);
    expect(toldBy(machine)['email:ops']).toEqual(['1']);
  });

  it.each([
    ['the AMQP channel is lost', async (machine: Machine, process: Process) => machine.broker.loseChannel(process)],
    [
      'no delivery comes for five seconds',
      async (machine: Machine) => {
        machine.broker.failure = new Error('no ticks');
        machine.broker.dropTicks();
        await machine.advance(7 * SECOND);
      },
    ],
  ])('stops when %s', async (_why, happen) => {
    const machine = new Machine();
    const process = machine.start();
    await machine.advance(SECOND);
    expect(process.dispatcher.isActive).toBe(true);
    await happen(machine, process);
    await machine.settle();
    expect(process.dispatcher.isActive).toBe(false);
  });

  it('hands back while the database is away, and goes on when it is back', async () => {
    const machine = new Machine();
    const { dispatcher } = machine.start();
    machine.database.failure = new Error('connection refused');
    machine.broker.post(anAlert('1'));
    await machine.advance(30 * SECOND);
    expect(dispatcher.isActive).toBe(false);
    expect(machine.broker.unsettled).toBe(1);

    machine.database.failure = undefined;
    await machine.advance(15 * SECOND);
    expect(toldBy(machine)['email:ops']).toEqual(['1']);
    expect(machine.broker.unsettled).toBe(0);
  });

  it('answers a fence after what came before it is committed', async () => {
    const machine = new Machine();
    machine.start();
    machine.broker.post(anAlert('1'));
    machine.broker.post('', { type: 'fence', replyTo: 'r', correlationId: 'c1' });
    await machine.settle();
    expect(machine.broker.replies).toEqual(['c1']);
    expect(machine.steps.indexOf('commit')).toBeLessThan(machine.steps.indexOf('reply'));
  });

  it.each([
    ['no JSON', '{', '{', /not JSON/],
    ['no alert', '7', '7', /\[0\] must be an object/],
    [
      'items among others, and takes the others',
      [anAlert('1'), { labels: {} }],
      '[{"labels":{}}]',
      /\[1\] labels must hold/,
    ],
  ])('keeps as a dead letter what is %s', async (_what, body, kept, detail) => {
    const machine = new Machine();
    machine.start();
    machine.broker.post(body);
    await machine.settle();
    const [dead] = machine.broker.dead as [OutgoingMessage];
    expect(dead).toMatchObject({ routingKey: 'unparseable', headers: { source: 'dispatch', reason: 'unparseable' } });
    expect(String(dead.body)).toBe(kept);
    expect(dead.headers?.['detail']).toMatch(detail);
    expect(machine.broker.unsettled).toBe(0);
    expect(machine.database.alerts.size).toBe(Array.isArray(body) ? 1 : 0);
  });

  it('finds the one message that the database refuses, keeps it as a dead letter, and takes the others', async () => {
    const machine = new Machine();
    machine.database.refusedLabel = 'bad';
    machine.start();
    for (const a of ['1', 'bad', '2']) machine.broker.post(anAlert(a, a));
    await machine.advance(60 * SECOND);
    expect(new Set(toldBy(machine)['email:ops'])).toEqual(new Set(['1', '2']));
    expect(machine.broker.unsettled).toBe(0);
    expect(machine.broker.dead.map(({ body }) => JSON.parse(String(body)).labels.a)).toEqual(['bad']);
    expect(machine.broker.dead[0]?.headers?.['detail']).toBe('cannot be stored: invalid byte sequence');
  });

  it('keeps back only the one alert that the database refuses, not those in the same message', async () => {
    const machine = new Machine();
    machine.database.refusedLabel = 'bad';
    machine.start();
    const acceptedAt = new Date(machine.now).toISOString();
    machine.broker.post([anAlert('1', '1'), anAlert('bad', 'bad'), anAlert('2', '2')], { headers: { acceptedAt } });
    await machine.advance(60 * SECOND);
    expect(new Set(toldBy(machine)['email:ops'])).toEqual(new Set(['1', '2']));
    expect(machine.broker.unsettled).toBe(0);
    expect(machine.broker.dead.map(({ body }) => JSON.parse(String(body)).labels.a)).toEqual(['bad']);
  });

  it('lets go what waits, and digests what no window can carry, through the outbox', async () => {
    const machine = new Machine();
    machine.start();
    machine.database.waiting = [aCrowd(30)];
    await machine.advance(2 * SECOND);
    const released = machine.broker.notifications
      .filter(isReleased)
      .map((message) => JSON.parse(String(message.body)) as Envelope);
    expect(released.filter(({ content }) => content.kind === 'text')).toHaveLength(19);
    const [digest] = released.filter(({ content }) => content.kind === 'digest');
    expect(digest?.content).toMatchObject({ kind: 'digest', covers: { length: 11 } });
    expect(digest?.severity).toBe('warning');
    expect(machine.database.released).toHaveLength(19);
    expect(machine.database.digested.map(({ digestId }) => digestId)).toEqual(Array(11).fill(digest?.id));
  });

  it('publishes only what the database let go: nothing that was told meanwhile', async () => {
    const machine = new Machine();
    const crowd = aCrowd(2);
    const [told, waits] = crowd.waiting.map(({ id }) => id) as [string, string];
    machine.database.waiting = [crowd];
    machine.database.toldMeanwhile.add(told);
    machine.start();
    await machine.advance(2 * SECOND);
    const released = machine.broker.notifications.filter(isReleased);
    expect(released.map(({ messageId }) => messageId)).toEqual([`${waits}/1`]);
  });

  it('forgets what is old in slices, now and then', async () => {
    const machine = new Machine();
    machine.start();
    await machine.advance(620 * SECOND);
    expect(machine.database.forgetCalls).toHaveLength(3);
    expect(machine.database.forgetCalls[0]).toBeLessThanOrEqual(machine.now - aConfiguration().retentionMs);
  });

  it('stops within its time: takes nothing more, hands back', async () => {
    const machine = new Machine();
    const { dispatcher } = machine.start();
    await machine.advance(SECOND);
    const stopped = dispatcher.stop();
    await machine.settle();
    await stopped;
    machine.broker.post(anAlert('1'));
    await machine.advance(60 * SECOND);
    expect(machine.broker.unsettled).toBe(1);
    expect(dispatcher.isActive).toBe(false);
  });

  it.each([
    [
      { receivers: [{ name: 'ops', targets: [{ channel: 'fax', sendResolved: true, target: {} }] }] },
      /receiver 'ops', target 1: unknown notification channel 'fax'/,
    ],
    [
      { receivers: [{ name: 'ops', targets: [{ channel: 'email', sendResolved: true, target: {} }] }] },
      /target 1 \(email\): to is missing/,
    ],
    [withRoute({ receiver: 'nobody' }), /route.receiver 'nobody'/],
    [withRoute({ matchers: ['a'] }), /route.matchers\[0\]/],
  ])('does not start with %j', (configuration, message) => {
    expect(() => new Machine().start(configuration)).toThrow(message);
  });
});

function withRoute(over: Partial<ReturnType<typeof aConfiguration>['route']>) {
  return { route: { ...aConfiguration().route, ...over } };
}

interface Told {
  id: string;
  targetKey: string;
  alerts: GroupContent['alerts'];
}

function tellings(machine: Machine): Told[] {
  return machine.broker.notifications.map((message) => {
    const { id, targetKey, content } = JSON.parse(String(message.body)) as Envelope;
    return { id, targetKey, alerts: (content as GroupContent).alerts };
  });
}

/** Target: the alerts it was told, in order. */
function toldBy(machine: Machine): Record<string, string[]> {
  const told: Record<string, string[]> = {};
  for (const { targetKey, alerts } of tellings(machine)) {
    told[targetKey] = [...(told[targetKey] ?? []), ...alerts.map(({ labels }) => labels['a'] as string)];
  }
  return told;
}

function endsTold(machine: Machine): string[] {
  const ends = tellings(machine).flatMap(({ alerts }) => alerts.filter(({ status }) => status === 'resolved'));
  return [...new Set(ends.map(({ labels }) => labels['a'] as string))];
}

/** Ids under which the target was told an alert before anything else was added to that telling. */
function firstTellings(machine: Machine, targetKey: string, a: string): Set<string> {
  const first = tellings(machine).filter(
    (told) => told.targetKey === targetKey && told.alerts.some(({ labels }) => labels['a'] === a),
  );
  const content = first[0]?.alerts.map(({ fingerprint, status }) => fingerprint + status).join();
  return new Set(
    first
      .filter(({ alerts }) => alerts.map(({ fingerprint, status }) => fingerprint + status).join() === content)
      .map(({ id }) => id),
  );
}

function aCrowd(count: number): WaitingTarget {
  const waiting = Array.from({ length: count }, (_, index) => {
    const id = `n${String(index).padStart(2, '0')}`;
    const common = { id, channel: 'dingtalk' as const, targetKey: 'dingtalk:robot', severity: 'warning' as const };
    const envelope: Envelope = {
      version: 1,
      ...common,
      target: {},
      createdAt: '',
      content: { kind: 'text', text: id },
    };
    return { ...common, waitingSince: index, waitingUntil: 0, nextAttempt: 1, envelope };
  });
  const budgets = [{ name: 'robot', windowMs: 60_000, limit: 20, left: 20, blockedUntil: 0 }];
  return { targetKey: 'dingtalk:robot', channel: 'dingtalk', budgets, inFlight: 0, total: count, waiting };
}
