import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EngineUnderTest } from './engine.harness.js';

const CHILD = fileURLToPath(new URL('./kill-child.mjs', import.meta.url));
const ROUNDS = 4;
/** Each round compiles the sources for its child, and waits for the disk. */
const MS_MAX = 180_000;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'engine-killed-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('an engine killed with SIGKILL', () => {
  it(
    'has lost nothing that was on disk, and brings nothing back that was settled there',
    async () => {
      for (let round = 1; round <= ROUNDS; round++) {
        const enough = 100 + round * 50;
        const seen = { stored: new Set<number>(), settling: new Set<number>(), settled: new Set<number>() };
        for (const line of await linesUntilKilled(enough, round * 10_000)) {
          const [what, number] = line.split(' ') as [keyof typeof seen, string];
          seen[what].add(Number(number));
        }
        expect(seen.stored.size).toBeGreaterThanOrEqual(enough);
        expect(seen.settled.size).toBeGreaterThan(0);

        const engine = await EngineUnderTest.open({ directory: join(directory, 'data') });
        const found = [...(await engine.drain('work')), ...(await engine.drain('dead'))].map(Number);
        // What was being acknowledged when the kill came may be there or not.
        const owed = [...seen.stored].filter((number) => !seen.settling.has(number));
        expect(owed.filter((number) => !found.includes(number))).toEqual([]);
        expect(found.filter((number) => seen.settled.has(number))).toEqual([]);
        await engine.closeKeeping();
      }
    },
    MS_MAX,
  );
});

describe('the files of a running engine', () => {
  it('hold a beginning of what was published, and all that was synced', async () => {
    const engine = await EngineUnderTest.open();
    engine.queue('q');
    for (let number = 0; number < 100; number++) engine.publish('', 'q', String(number));
    await engine.synced();
    for (let number = 100; number < 200; number++) engine.publish('', 'q', String(number));
    await cp(engine.directory, directory, { recursive: true });
    await engine.close();

    const copy = await EngineUnderTest.open({ directory });
    const bodies = await copy.drain('q');
    expect(bodies.length).toBeGreaterThanOrEqual(100);
    expect(bodies).toEqual(bodies.map((_, index) => String(index)));
    await copy.closeKeeping();
  });

  it('have a rejected message in its dead-letter queue, and no longer in its own, once a publish behind it was synced', async () => {
    const engine = await EngineUnderTest.open();
    engine.queue('dead');
    engine.queue('work', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
    engine.publish('', 'work', 'rejected');
    const ready = await engine.get('work', false);
    ready!.queue.reject([ready!.sequence]);
    // No turn of the event loop in between: a client sends both in one write.
    engine.publish('', 'dead', 'behind it');
    await engine.synced();
    await cp(engine.directory, directory, { recursive: true });
    await engine.close();

    const copy = await EngineUnderTest.open({ directory });
    expect(await copy.drain('work')).toEqual([]);
    expect(await copy.drain('dead')).toEqual(['rejected', 'behind it']);
    await copy.closeKeeping();
  });
});

/** Every line the child wrote before it was killed, some time after its `enough`-th message. */
async function linesUntilKilled(enough: number, firstNumber: number): Promise<string[]> {
  const path = join(directory, 'lines');
  const file = await open(path, 'w');
  const parameters = ['--no-warnings', CHILD, join(directory, 'data'), String(firstNumber), String(enough)];
  const child = spawn(process.execPath, parameters, { stdio: ['ignore', file.fd, 'inherit', 'ipc'] });
  child.once('message', () => child.kill('SIGKILL'));
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  await file.close();
  expect(signal).toBe('SIGKILL');
  return (await readFile(path, 'utf8')).split('\n').slice(0, -1);
}
