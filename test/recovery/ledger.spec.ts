import { describe, expect, it } from '@jest/globals';
import { Ledger } from './ledger.js';

const WHOLE = { redelivered: false, isWhole: true };

describe('the ledger', () => {
  it('calls a promised message lost until it is acked or buried', () => {
    const ledger = new Ledger();
    for (const id of ['unseen', 'seen', 'acked', 'rejected', 'buried']) ledger.promise('work', id);
    for (const id of ['seen', 'acked', 'rejected', 'buried']) ledger.delivered('work', id, WHOLE);
    ledger.settled('work', 'acked', 'acked');
    ledger.settled('work', 'rejected', 'rejected');
    ledger.settled('work', 'buried', 'rejected');
    ledger.buried('work', 'buried');
    expect(ledger.lost()).toEqual(['work/unseen', 'work/seen', 'work/rejected']);
  });

  it('asks nothing of a publish that was never confirmed, until its reject is durable', () => {
    const ledger = new Ledger();
    ledger.delivered('work', '1', WHOLE);
    ledger.settled('work', '1', 'rejected');
    expect(ledger.lost()).toEqual([]);
    ledger.durable('work', '1');
    expect(ledger.lost()).toEqual(['work/1']);
  });

  it('wants a message again that came back after an acknowledgement the broker never read', () => {
    const ledger = new Ledger();
    ledger.promise('work', '1');
    ledger.delivered('work', '1', WHOLE);
    ledger.settled('work', '1', 'acked');
    ledger.delivered('work', '1', { redelivered: true, isWhole: true });
    expect(ledger.lost()).toEqual(['work/1']);
    expect(ledger.resurrected()).toEqual([]);
    expect(ledger.figures()).toMatchObject({ duplicates: 1, duplicatesUnflagged: 0 });
  });

  it('names what returns after a durable acknowledgement, and what returns changed', () => {
    const ledger = new Ledger();
    ledger.delivered('work', '1', WHOLE);
    ledger.settled('work', '1', 'acked');
    ledger.durable('work', '1');
    ledger.delivered('work', '1', { redelivered: false, isWhole: false });
    expect(ledger.resurrected()).toEqual(['work/1']);
    expect(ledger.damaged()).toEqual(['work/1']);
  });
});
