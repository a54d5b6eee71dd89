import { describe, expect, it } from '@jest/globals';
import type { Consumer } from '../consumer.js';
import { ConsumerSet } from './consumer-set.js';

interface TestConsumer extends Consumer {
  room: boolean;
}

function aConsumer(tag: string, priority = 0): TestConsumer {
  return {
    tag,
    priority,
    noAck: false,
    exclusive: false,
    isUnderSharedPrefetch: false,
    room: true,
    hasRoom() {
      return this.room;
    },
    deliver: () => undefined,
    cancelledByServer: () => undefined,
  };
}

function turns(set: ConsumerSet, count: number, perTurn = 1): string[] {
  return Array.from({ length: count }, () => set.takeTurn(perTurn)?.tag ?? '-');
}

describe('whose turn it is', () => {
  it('goes round among equals', () => {
    const set = new ConsumerSet(false);
    for (const tag of ['a', 'b', 'c']) set.add(aConsumer(tag));
    expect(turns(set, 7)).toEqual(['a', 'b', 'c', 'a', 'b', 'c', 'a']);
  });

  it('skips who has no room', () => {
    const set = new ConsumerSet(false);
    const full = aConsumer('b');
    full.room = false;
    set.add(aConsumer('a'));
    set.add(full);
    set.add(aConsumer('c'));
    expect(turns(set, 4)).toEqual(['a', 'c', 'a', 'c']);
  });

  it('serves lower priorities only while all higher ones are full', () => {
    const set = new ConsumerSet(false);
    const high = aConsumer('high', 5);
    set.add(aConsumer('low', -1));
    set.add(high);
    expect(turns(set, 2)).toEqual(['high', 'high']);
    high.room = false;
    expect(turns(set, 2)).toEqual(['low', 'low']);
    high.room = true;
    expect(turns(set, 1)).toEqual(['high']);
  });

  it('keeps the round fair when someone leaves', () => {
    const set = new ConsumerSet(false);
    const first = aConsumer('a');
    set.add(first);
    for (const tag of ['b', 'c']) set.add(aConsumer(tag));
    expect(turns(set, 2)).toEqual(['a', 'b']);
    expect(set.remove(first)).toBe(true);
    expect(turns(set, 3)).toEqual(['c', 'b', 'c']);
    expect(set.remove(first)).toBe(false);
  });
});

describe('several in a row', () => {
  it('stays with one for as many as a turn has', () => {
    const set = new ConsumerSet(false);
    for (const tag of ['a', 'b']) set.add(aConsumer(tag));
    expect(turns(set, 7, 3)).toEqual(['a', 'a', 'a', 'b', 'b', 'b', 'a']);
  });

  it('moves on early from one that is full', () => {
    const set = new ConsumerSet(false);
    const first = aConsumer('a');
    set.add(first);
    set.add(aConsumer('b'));
    expect(turns(set, 2, 3)).toEqual(['a', 'a']);
    first.room = false;
    expect(turns(set, 2, 3)).toEqual(['b', 'b']);
    first.room = true;
    expect(turns(set, 3, 3)).toEqual(['b', 'a', 'a']);
  });

  it('gives the next one a whole turn when the one whose turn it was leaves', () => {
    const set = new ConsumerSet(false);
    const first = aConsumer('a');
    set.add(first);
    for (const tag of ['b', 'c']) set.add(aConsumer(tag));
    expect(turns(set, 2, 3)).toEqual(['a', 'a']);
    set.remove(first);
    expect(turns(set, 4, 3)).toEqual(['b', 'b', 'b', 'c']);
  });
});

describe('single active consumer', () => {
  it('serves the first alone, full or not', () => {
    const set = new ConsumerSet(true);
    const first = aConsumer('a');
    set.add(first);
    set.add(aConsumer('b', 9));
    expect(turns(set, 2)).toEqual(['a', 'a']);
    first.room = false;
    expect(turns(set, 1)).toEqual(['-']);
  });

  it('promotes the highest priority, then the oldest, when the active one goes', () => {
    const set = new ConsumerSet(true);
    const first = aConsumer('a');
    const third = aConsumer('c', 1);
    set.add(first);
    set.add(aConsumer('b', 0));
    set.add(third);
    set.add(aConsumer('d', 1));
    set.remove(first);
    expect(turns(set, 1)).toEqual(['c']);
    set.remove(third);
    expect(turns(set, 1)).toEqual(['d']);
  });
});
