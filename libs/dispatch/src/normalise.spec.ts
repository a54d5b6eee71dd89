import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fingerprint } from './fingerprint.js';
import { alertProblems, normaliseAlert } from './normalise.js';

const now = 1_000_000_000;
const options = { now, resolveTimeoutMs: 300_000 };
const at = (ms: number) => new Date(ms).toISOString();
const labels = { alertname: 'a' };
const normalise = (posted: unknown, more = {}) => normaliseAlert(posted, { ...options, ...more });

describe('normalising a posted alert', () => {
  it.each([
    ['neither time', {}, { startsAt: now, endsAt: now + 300_000, endsAtIsTimeout: true }],
    [
      'zero times',
      { startsAt: '0001-01-01T00:00:00Z', endsAt: '0001-01-01T00:00:00Z' },
      { startsAt: now, endsAtIsTimeout: true },
    ],
    ['a later end', { endsAt: at(now + 5) }, { startsAt: now, endsAt: now + 5, endsAtIsTimeout: false }],
    ['an end in the past', { endsAt: at(now - 5) }, { startsAt: now - 5, endsAt: now - 5, endsAtIsTimeout: false }],
    ['both times', { startsAt: at(now - 9), endsAt: at(now - 5) }, { startsAt: now - 9, endsAt: now - 5 }],
    ['nanoseconds and an offset', { startsAt: '1970-01-01T01:00:00.123456789+01:00' }, { startsAt: 123 }],
    ['lower-case letters', { startsAt: '1970-01-01t00:00:00z' }, { startsAt: 0 }],
    [
      'null for not set',
      { startsAt: null, annotations: null, generatorURL: null },
      { startsAt: now, annotations: {}, generatorURL: '' },
    ],
  ])('%s', (_case, times, expected) => {
    expect(normalise({ labels, ...times })).toMatchObject({ ok: true, alert: expected });
  });

  it('drops empty labels, and takes the fingerprint of what is left', () => {
    expect(normalise({ labels: { ...labels, empty: '' } })).toMatchObject({
      alert: { labels, fingerprint: fingerprint(labels) },
    });
  });

  it.each([
    ['not an object', 7, ['']],
    ['an array', [], ['']],
    ['no labels', {}, ['labels']],
    ['only empty labels', { labels: { a: '' } }, ['labels']],
    ['labels that are a list', { labels: ['a'] }, ['labels']],
    ['a label that is a number', { labels: { a: 1 } }, ['labels.a']],
    ['a label without a name', { labels: { '': 'x' } }, ['labels']],
    ['annotations that are a text', { labels, annotations: 'x' }, ['annotations']],
    ['no time', { labels, startsAt: 'yesterday', endsAt: 5 }, ['startsAt', 'endsAt']],
    ['a day that does not exist', { labels, startsAt: '2026-13-45T00:00:00Z' }, ['startsAt']],
    ['an end before the start', { labels, startsAt: at(now), endsAt: at(now - 1) }, ['endsAt']],
    ['a URL that is a number', { labels, generatorURL: 1 }, ['generatorURL']],
  ])('names the fields: %s', (_case, posted, fields) => {
    const result = normalise(posted);
    expect(result.ok ? [] : result.problems.map((problem) => problem.field)).toEqual(fields);
    expect(alertProblems(posted)).toEqual(result.ok ? [] : result.problems);
  });

  it('keeps firing what was firing when accepted and ended in the queue', () => {
    const posted = { labels, endsAt: at(now - 10) };
    expect(normalise(posted, { acceptedAt: now - 20 })).toMatchObject({
      alert: { startsAt: now - 20, endsAt: now + 300_000, endsAtIsTimeout: true },
    });
    expect(normalise(posted, { acceptedAt: now - 5 })).toMatchObject({ alert: { endsAt: now - 10 } });
  });

  it('never throws, and what it accepts can be stored by any database', () => {
    fc.assert(
      fc.property(fc.anything(), (posted) => {
        normalise(posted);
        const result = normalise({ labels: { a: 'x', b: String(JSON.stringify(posted)) } });
        expect(result.ok).toBe(true);
      }),
    );
    expect(normalise({ labels: { a: 'x\0\ud800y', __proto__: 'p' } })).toMatchObject({
      alert: { labels: { a: 'x\uFFFD\uFFFDy' } },
    });
  });
});
