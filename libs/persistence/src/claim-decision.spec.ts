import { describe, expect, it } from '@jest/globals';
import type { NotificationStatus } from '#dispatch';
import { ATTEMPT_MS_MAX } from './attempt-age.js';
import { aClaim, NOW, ROBOT_BUDGET } from './builders.contract.js';
import { decideClaim, type KnownAttempt, type KnownNotification, type Room } from './claim-decision.js';

const FOLLOW_UP = { next: 'retry', attempt: 2, delayMs: 5_000 } as const;
const ATTEMPTS: Record<string, KnownAttempt> = {
  absent: { at: 'absent' },
  mine: { at: 'open', claimedBy: 'run-a', claimedAt: NOW - 1_000 },
  mineOld: { at: 'open', claimedBy: 'run-a', claimedAt: NOW - ATTEMPT_MS_MAX },
  other: { at: 'open', claimedBy: 'run-b', claimedAt: NOW - 1_000 },
  otherOld: { at: 'open', claimedBy: 'run-b', claimedAt: NOW - ATTEMPT_MS_MAX },
  settled: { at: 'settled', followUp: FOLLOW_UP },
};
const NEW: KnownNotification = {
  status: 'queued',
  via: undefined,
  failures: 0,
  unanswered: false,
  attempt: { at: 'absent' },
};
const STATUSES: NotificationStatus[] = ['queued', 'waiting', 'sending', 'retrying', 'sent', 'dead', 'suppressed'];
const ROOMS = ['free', 'crowded', 'in-flight', 'spent'] as const;

function aRoom(kind: (typeof ROOMS)[number]): Room {
  const targetKey = 'dingtalk:robot';
  return {
    crowded: new Set(kind === 'crowded' ? [targetKey] : []),
    inFlight: new Map(kind === 'in-flight' ? [[targetKey, 100]] : []),
    budgets: new Map(
      kind === 'spent' ? [['dingtalk:robot', { ...ROBOT_BUDGET, spends: [NOW, NOW], blockedUntil: 0 }]] : [],
    ),
  };
}

/** The table of `decideClaim` once more, as a person would say it. */
function expected(
  attempt: string,
  status: string,
  via: string | undefined,
  released: boolean,
  room: string,
  owned: boolean,
) {
  if (attempt === 'settled') return 'settled';
  if (status === 'sent' || status === 'dead' || status === 'suppressed') return 'settled';
  if (attempt === 'mine' || (attempt === 'other' && !owned)) return 'busy';
  if (status === 'waiting' && (via !== undefined || !released)) return 'waiting';
  if (attempt !== 'absent') return room === 'spent' ? 'waiting' : 'granted, may repeat';
  if (room === 'free' || (room === 'crowded' && released)) return 'granted';
  return 'waiting';
}

describe('claim decision', () => {
  for (const [name, attempt] of Object.entries(ATTEMPTS)) {
    it(`answers every combination with an attempt that is ${name}`, () => {
      for (const status of STATUSES)
        for (const via of [undefined, 'digest'])
          for (const released of [false, true])
            for (const kind of ROOMS)
              for (const owned of [false, true]) {
                const request = aClaim('n', { released, budgets: [ROBOT_BUDGET] });
                const decision = decideClaim(request, NOW, { ...NEW, status, via, attempt }, aRoom(kind), owned);
                const said =
                  decision.claim === 'granted' && decision.mayRepeat ? 'granted, may repeat' : decision.claim;
                const combination = { name, status, via, released, kind, owned };
                expect({ ...combination, said }).toEqual({
                  ...combination,
                  said: expected(name, status, via, released, kind, owned),
                });
              }
    });
  }

  it('says that the person may have been told after an attempt without an answer', () => {
    const again = decideClaim(aClaim('n'), NOW, { ...NEW, unanswered: true }, aRoom('free'), true);
    expect(again).toEqual({ claim: 'granted', mayRepeat: true, isResumed: false, failures: 0 });
    const resumed = decideClaim(aClaim('n'), NOW, { ...NEW, attempt: ATTEMPTS['otherOld']! }, aRoom('free'), true);
    expect(resumed).toEqual({ claim: 'granted', mayRepeat: true, isResumed: true, failures: 0 });
  });

  it('names the budget that is closed and how long', () => {
    const room: Room = { crowded: new Set(), inFlight: new Map(), budgets: new Map() };
    room.budgets.set(ROBOT_BUDGET.name, { ...ROBOT_BUDGET, spends: [], blockedUntil: NOW + 5 });
    const hold = { because: 'budget', budget: ROBOT_BUDGET.name, until: NOW + 5 };
    const request = aClaim('n', { budgets: [ROBOT_BUDGET] });
    expect(decideClaim(request, NOW, NEW, room, true)).toEqual({ claim: 'waiting', hold });
    expect(room.crowded).toContain('dingtalk:robot');
  });

  it('spends every budget of a granted send, and none of one that waits', () => {
    const room = aRoom('spent');
    const account = { name: 'account', windowMs: 1_000, limit: 9 };
    decideClaim(aClaim('n', { budgets: [account, ROBOT_BUDGET] }), NOW, NEW, room, true);
    expect(room.budgets.has('account')).toBe(false);

    const free = aRoom('free');
    decideClaim(aClaim('n', { budgets: [account, ROBOT_BUDGET] }), NOW, NEW, free, true);
    expect([...free.budgets.values()].map(({ name, spends }) => [name, spends])).toEqual([
      ['account', [NOW]],
      ['dingtalk:robot', [NOW]],
    ]);
  });
});
