import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { hasDebianFile, removeFolder, startService } from '#testing';
import { runTutorial, TUTORIALS, tutorials } from '../conformance/clients/tutorials.js';

const { path, packageName } = tutorials.needs!;
const itWithPika = hasDebianFile(path, packageName) ? it : it.skip;

/** What each of them prints is checked in test/conformance, on RabbitMQ too. */
describe('the tutorials', () => {
  itWithPika('keep confirmed messages over a kill of the broker', async () => {
    const first = await startService({ app: 'broker' });
    expect(await runTutorial(first.amqp, 'persistent_publish.py', ['100'])).toBe('100 confirmed\n');
    await first.kill();
    const second = await startService({ app: 'broker', folder: first.folder });
    const printed = await runTutorial(second.amqp, 'persistent_read.py');
    const messages = Array.from({ length: 100 }, (_, number) => `read message ${number}\n`);
    expect(printed).toBe(`${messages.join('')}nothing left\n`);
    await second.kill();
    await removeFolder(first.folder);
  });

  it('are all explained, and all run', async () => {
    const readme = await readFile(join(TUTORIALS, 'README.md'), 'utf8');
    const stories = await readFile(join(import.meta.dirname, '../conformance/clients/tutorials.ts'), 'utf8');
    for (const script of (await readdir(TUTORIALS)).filter((name) => name.endsWith('.py'))) {
      expect([script, readme.includes(script), stories.includes(script)]).toEqual([script, true, true]);
    }
  });
});
