import { getEventListeners, once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { TimeLimit } from './time-limit.js';

const LONG = 60_000;

describe('TimeLimit', () => {
  it('aborts when the time is up', async () => {
    const limit = new TimeLimit(new AbortController().signal, 1);
    // Its timer keeps no process alive; this one does.
    const alive = setTimeout(() => {}, LONG);
    await once(limit.signal, 'abort');
    clearTimeout(alive);
    expect(limit.hasPassed).toBe(true);
    expect(limit.signal.reason).toMatchObject({ name: 'TimeoutError' });
  });

  it('aborts with its parent, whose reason it has', () => {
    const parent = new AbortController();
    const limit = new TimeLimit(parent.signal, LONG);
    expect(limit.signal.aborted).toBe(false);
    parent.abort(new Error('shutting down'));
    expect(limit.signal.reason).toEqual(new Error('shutting down'));
    expect(limit.hasPassed).toBe(false);

    expect(new TimeLimit(parent.signal, LONG).signal.aborted).toBe(true);
  });

  it('holds nothing of its parent once released, and does not abort any more', () => {
    const parent = new AbortController();
    const limit = new TimeLimit(parent.signal, LONG);
    limit.release();
    expect(getEventListeners(parent.signal, 'abort')).toEqual([]);
    parent.abort();
    expect(limit.signal.aborted).toBe(false);
  });
});
