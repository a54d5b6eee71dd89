import { describe, expect, it } from '@jest/globals';
import { changedSince } from './changed-since.js';

const told = (...firing: string[]) => ({ firing, notifiedAt: 1_000 });
const flush = { firing: [] as string[], ended: [] as string[], sendResolved: true, repeatIntervalMs: 500, now: 1_100 };

describe('what changed since the target was told', () => {
  it.each([
    ['first firing', undefined, { firing: ['a'] }, { tell: 'first-notification', resolved: [] }],
    ['only an end it never heard of', undefined, { ended: ['a'] }, { tell: 'nothing', logChanged: false }],
    ['firing after all was over', told(), { firing: ['a'] }, { tell: 'first-notification', resolved: [] }],
    ['one more', told('a'), { firing: ['a', 'b'] }, { tell: 'new-alerts', resolved: [] }],
    ['one more and one less', told('a'), { firing: ['b'], ended: ['a'] }, { tell: 'new-alerts', resolved: ['a'] }],
    ['one of two ended', told('a', 'b'), { firing: ['a'], ended: ['b'] }, { tell: 'some-resolved', resolved: ['b'] }],
    ['all ended', told('a', 'b'), { ended: ['a', 'b'] }, { tell: 'all-resolved', resolved: ['a', 'b'] }],
    [
      'an end it never heard of, among others',
      told('a'),
      { firing: ['a'], ended: ['x'] },
      { tell: 'nothing', logChanged: false },
    ],
    [
      'ends it does not want',
      told('a', 'b'),
      { firing: ['a'], ended: ['b'], sendResolved: false },
      { tell: 'nothing', logChanged: true },
    ],
    [
      'all ended, and it does not want to know',
      told('a'),
      { ended: ['a'], sendResolved: false },
      { tell: 'nothing', logChanged: true },
    ],
    ['nothing new', told('a'), { firing: ['a'] }, { tell: 'nothing', logChanged: false }],
    ['nothing new for long', told('a'), { firing: ['a'], now: 1_500 }, { tell: 'repeat-interval', resolved: [] }],
    ['nothing at all for long', told(), { now: 9_000 }, { tell: 'nothing', logChanged: false }],
  ])('%s', (_case, before, change, verdict) => {
    expect(changedSince(before, { ...flush, ...change })).toEqual(verdict);
  });
});
