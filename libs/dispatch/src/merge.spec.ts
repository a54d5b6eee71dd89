import { describe, expect, it } from '@jest/globals';
import type { Alert } from './alert.js';
import { asOf, changeOf, hasEnded, mergeAlerts } from './merge.js';

const resolveTimeoutMs = 300;
const anAlert = (over: Partial<Alert> = {}): Alert => ({
  fingerprint: 'f',
  labels: { a: 'b' },
  annotations: {},
  startsAt: 100,
  endsAt: 400,
  endsAtIsTimeout: true,
  generatorURL: '',
  updatedAt: 100,
  ...over,
});
const ended = anAlert({ endsAt: 150, updatedAt: 150, endsAtIsTimeout: false });

describe('merging by fingerprint', () => {
  it.each([
    [
      'the earliest start is kept',
      anAlert(),
      anAlert({ startsAt: 200, endsAt: 500, updatedAt: 200 }),
      { startsAt: 100, endsAt: 500 },
    ],
    ['an earlier start is taken', anAlert(), anAlert({ startsAt: 50, endsAt: 500 }), { startsAt: 50 }],
    [
      'a real end replaces a time-out',
      anAlert(),
      anAlert({ endsAt: 300, endsAtIsTimeout: false }),
      { endsAt: 300, endsAtIsTimeout: false },
    ],
    [
      'a time-out does not replace a later real end',
      anAlert({ endsAt: 900, endsAtIsTimeout: false }),
      anAlert({ endsAt: 500 }),
      { endsAt: 900, endsAtIsTimeout: false },
    ],
    [
      'an end now ends it',
      anAlert({ endsAt: 900, endsAtIsTimeout: false }),
      anAlert({ startsAt: 200, endsAt: 200, updatedAt: 200 }),
      { startsAt: 100, endsAt: 200 },
    ],
    [
      'annotations come from the newer',
      anAlert({ annotations: { a: '1' } }),
      anAlert({ annotations: { b: '2' } }),
      { annotations: { b: '2' } },
    ],
    [
      'an overdue one that is refreshed keeps its start',
      anAlert(),
      anAlert({ startsAt: 600, endsAt: 900, updatedAt: 600 }),
      { startsAt: 100, endsAt: 900 },
    ],
    [
      'an ended one begins anew',
      ended,
      anAlert({ startsAt: 600, endsAt: 900, updatedAt: 600 }),
      { startsAt: 600, endsAt: 900 },
    ],
    [
      'an overlapping one is the same as before',
      ended,
      anAlert({ startsAt: 120, endsAt: 900, updatedAt: 160 }),
      { startsAt: 100, endsAt: 900 },
    ],
  ])('%s', (_rule, known, posted, expected) => {
    expect(mergeAlerts(known, posted)).toMatchObject(expected);
  });

  it.each([
    ['new', undefined, anAlert()],
    ['resolved', anAlert(), ended],
    ['fired-again', ended, anAlert({ startsAt: 600, endsAt: 900, updatedAt: 600 })],
    ['refreshed', anAlert(), anAlert({ endsAt: 500, updatedAt: 200 })],
    ['refreshed', ended, { ...ended }],
    ['updated', anAlert(), anAlert({ annotations: { a: 'b' } })],
    ['updated', anAlert(), anAlert({ startsAt: 50 })],
    ['updated', anAlert(), anAlert({ endsAtIsTimeout: false })],
    ['updated', anAlert({ endsAtIsTimeout: false }), anAlert({ endsAtIsTimeout: false, endsAt: 401 })],
  ] as const)('is %s', (change, known, merged) => {
    expect(changeOf(known, merged, resolveTimeoutMs)).toBe(change);
  });

  it('ends by the clock only when its end has come', () => {
    const alert = anAlert();
    expect(asOf(alert, 399)).toBe(alert);
    expect(hasEnded(asOf(alert, 400))).toBe(true);
    expect(asOf(ended, 900)).toBe(ended);
  });
});
