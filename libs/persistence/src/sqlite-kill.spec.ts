import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openPersistence } from './open-persistence.js';

const CHILD = fileURLToPath(new URL('./kill-child.mjs', import.meta.url));
const ROUNDS = 3;
/** Each round compiles the sources for its child, and waits for the disk. */
const MS_MAX = 180_000;

describe('SQLite and kill -9', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tocsin-kill-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it(
    'keeps all that was acknowledged, and opens at once',
    async () => {
      for (let round = 1; round <= ROUNDS; round += 1) {
        const lines = await linesUntilKilled(folder, round * 20);
        const { review, dispatcher, close } = await openPersistence({ dataDirectory: folder });
        const outbox = new Set((await dispatcher.unpublished(10_000)).map(({ id }) => id));
        for (const line of lines) {
          const [what, id] = line.split(' ') as [string, string];
          const notification = await review.findNotification(id);
          expect(notification).toBeDefined();
          expect(outbox).toContain(`${id}/1`);
          if (what === 'claimed') expect(notification?.attempts).toHaveLength(1);
        }
        await close();
      }
    },
    MS_MAX,
  );
});

/** Every whole line the child wrote before it was killed, some time after the `enough`-th. */
async function linesUntilKilled(folder: string, enough: number): Promise<string[]> {
  const child = spawn(process.execPath, ['--no-warnings', CHILD, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    if (lines.length === enough) child.kill('SIGKILL');
  });
  await once(reader, 'close');
  expect(lines.length).toBeGreaterThanOrEqual(enough);
  return lines;
}
