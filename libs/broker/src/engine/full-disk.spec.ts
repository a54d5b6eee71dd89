import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { codeError, ForgetfulFiles } from '#testing';
import { EngineUnderTest, ticks } from './engine.harness.js';

const RETRY_MS = 1_000;
const MESSAGES = 50;
/** More than may wait for their dead letters. */
const MANY_MESSAGES = 1_500;
const toGraves = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'graves' };

let files: ForgetfulFiles;
let engine: EngineUnderTest;
beforeEach(async () => {
  files = new ForgetfulFiles();
  engine = await EngineUnderTest.open({ files });
  engine.queue('graves');
});
afterEach(() => engine.close());

async function fillTheDisk(): Promise<void> {
  await engine.synced();
  files.failAt = (step) => (step === 'write' ? codeError('ENOSPC', 'no space left on device') : undefined);
  engine.publish('', 'graves', 'finds it full');
  engine.engine.durability.requestSync();
  while (!engine.engine.isLowOnDisk) await ticks();
}

async function makeRoom(): Promise<void> {
  files.failAt = () => undefined;
  while (engine.engine.isLowOnDisk) await ticks();
}

describe('while the disk is full', () => {
  it.each([
    ['expire', { 'x-message-ttl': 100 }],
    ['are too many', { 'x-max-length': MESSAGES }],
  ])('messages that %s wait for room with their dead letters, and none is lost by a kill', async (how, limit) => {
    engine.queue('work', { ...toGraves, ...limit });
    for (let message = 0; message < MESSAGES; message++) engine.publish('', 'work', String(message));
    await fillTheDisk();
    if (how === 'are too many') for (let more = 0; more < MESSAGES; more++) engine.publish('', 'work', `more ${more}`);
    const { appended } = engine.engine.durability;
    await engine.clock.advance(20 * RETRY_MS);
    expect(engine.engine.durability.appended).toBe(appended);
    expect(engine.ready('graves')).toBe(1);

    const killed = await EngineUnderTest.open({
      files: files.copy(),
      directory: engine.directory,
      clock: engine.clock,
    });
    await killed.clock.advance(1);
    expect(killed.ready('work') + killed.ready('graves')).toBe(MESSAGES);
    await killed.closeKeeping();

    await makeRoom();
    await engine.clock.advance(RETRY_MS);
    expect(await engine.drain('graves')).toEqual([
      'finds it full',
      ...Array.from({ length: MESSAGES }, (_, message) => String(message)),
    ]);
  });

  it('a rejected message has its dead letter before what is published behind it, also past waiting ones', async () => {
    engine.queue('work', { ...toGraves, 'x-message-ttl': 100 });
    engine.publish('', 'work', 'rejected');
    engine.publish('', 'work', 'expired');
    await fillTheDisk();
    const ready = (await engine.get('work', false))!;
    await engine.clock.advance(100);
    ready.queue.reject([ready.sequence]);
    engine.publish('', 'graves', 'behind');
    expect(await engine.drain('graves')).toEqual(['finds it full', 'rejected', 'behind']);
    await makeRoom();
    await engine.clock.advance(RETRY_MS);
    expect(await engine.drain('graves')).toEqual(['expired']);
  });

  it('no queue is woken again and again for messages that cannot go anywhere', async () => {
    engine.queue('work', { ...toGraves, 'x-message-ttl': 100 });
    for (let message = 0; message < MANY_MESSAGES; message++) engine.publish('', 'work', String(message));
    await fillTheDisk();
    await engine.clock.advance(100);
    expect(engine.clock.timerCount).toBe(1); // for room
    await makeRoom();
    await engine.clock.advance(RETRY_MS);
    expect(engine.ready('graves')).toBe(MANY_MESSAGES + 1);
  });
});
