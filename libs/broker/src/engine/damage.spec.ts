import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EngineUnderTest, ticks } from './engine.harness.js';

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await EngineUnderTest.open({ segmentBytes: 100_000 });
});
afterEach(() => engine.close());

describe('a message damaged on disk', () => {
  beforeEach(async () => {
    engine.queue('q');
    for (const body of ['first', 'broken', 'last']) engine.publish('', 'q', body.padEnd(40_000, body));
    await engine.reopen();
    await flipByteIn('brokenbroken', engine.directory);
  });

  it('costs that message only, is reported, and does not come again', async () => {
    const consumer = engine.consume('q');
    while (consumer.deliveries.length < 2) await ticks();
    expect(consumer.bodies.map((body) => body.slice(0, 4))).toEqual(['firs', 'last']);
    expect(engine.reports).toContain("queue 'q': 1 messages are damaged on disk and were given up");
    expect(engine.unacked('q')).toBe(2);
  });
});

describe('a queue whose definition is damaged on disk', () => {
  it('keeps its messages, under another name, also over the next start and beyond their expiry', async () => {
    engine.queue('q', { 'x-message-ttl': 1_000 });
    for (const body of ['first', 'second']) engine.publish('', 'q', body);
    await engine.reopen();
    await flipByteIn('queue:/:q', engine.directory);
    await engine.reopen();
    expect(engine.reports.join('\n')).toContain(
      "2 messages of a queue without a definition are kept in queue 'damaged.1'",
    );

    await engine.reopen();
    await engine.clock.advance(2_000);
    const consumer = engine.consume('damaged.1');
    while (consumer.deliveries.length < 2) await ticks();
    expect(consumer.bodies).toEqual(['first', 'second']);
  });
});

describe('a virtual host whose definition is damaged on disk', () => {
  it('goes on with all it holds', async () => {
    engine.enterNewVirtualHost('night');
    engine.queue('q');
    engine.publish('', 'q', 'kept');
    await engine.reopen();
    await flipByteIn('vhost:night', engine.directory);
    await engine.reopen();
    expect(engine.reports).toContain("virtual host 'night' has lost its definition; it goes on with what it holds");
    expect(await engine.drain('q')).toEqual(['kept']);
  });

  it('keeps the messages of a damaged queue in /', async () => {
    engine.enterNewVirtualHost('night');
    engine.queue('q');
    engine.publish('', 'q', 'kept');
    await engine.reopen();
    await flipByteIn('queue:night:q', engine.directory);
    await engine.reopen();
    engine.virtualHostName = '/';
    expect(await engine.drain('damaged.1')).toEqual(['kept']);
  });
});

describe('a damaged record of the next queue number', () => {
  it('does not give a new queue the number of another', async () => {
    engine.queue('q');
    engine.publish('', 'q', 'old');
    await engine.reopen();
    await flipByteIn('next-queue-number', engine.directory);
    await engine.reopen();
    engine.queue('new');
    engine.publish('', 'new', 'young');
    await engine.reopen();
    expect([engine.ready('q'), engine.ready('new')]).toEqual([1, 1]);
  });
});

/** Wherever it stands: the log may have rewritten a segment that was small, and keeps definitions more than once. */
async function flipByteIn(text: string, directory: string): Promise<void> {
  let flipped = 0;
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const bytes = await readFile(path);
    for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text)) {
      bytes[at]! ^= 0xff;
      flipped++;
    }
    await writeFile(path, bytes);
  }
  if (flipped === 0) throw new Error(`no file holds '${text}'`);
}
