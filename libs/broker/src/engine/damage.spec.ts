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

/** In every file: the log may have rewritten a segment that was small. */
async function flipByteIn(text: string, directory: string): Promise<void> {
  let flipped = 0;
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const bytes = await readFile(path);
    const at = bytes.indexOf(text);
    if (at === -1) continue;
    bytes[at]! ^= 0xff;
    await writeFile(path, bytes);
    flipped++;
  }
  if (flipped === 0) throw new Error(`no file holds '${text}'`);
}
