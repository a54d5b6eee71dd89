import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '#testing';
import type { ClientSuite } from './client-suite.js';
import { RunningProgram, runProgram } from './programs.js';

const PYTHON = '/usr/bin/python3';
const STORY_MS_MAX = 60_000;

export const celery: ClientSuite = {
  name: 'celery (python3-celery)',
  needs: { path: '/usr/lib/python3/dist-packages/celery/__init__.py', packageName: 'python3-celery' },
  checks: [
    {
      title: 'runs tasks acknowledged late, with retries, a countdown, and results over rpc://',
      async run(url) {
        const worker = await aWorker(url);
        try {
          assert.equal(await ask(url, 'add'), '5\n');
          assert.equal(await ask(url, 'retry'), '2\n');
          assert.equal(await ask(url, 'countdown'), '3 in time\n');
          assert.equal(await ask(url, 'many'), '9900\n');
        } finally {
          await worker.kill();
        }
      },
    },
    {
      title: 'runs a task again whose worker was killed in the middle',
      async run(url) {
        const folder = await mkdtemp(join(tmpdir(), 'tocsin-celery-'));
        const [diary, permission] = [join(folder, 'diary'), join(folder, 'permission')];
        const begun = (count: number) => () => existsSync(diary) && linesOf(diary).length >= count;
        const workers = [await aWorker(url)];
        const asking = ask(url, 'patient', diary, permission);
        try {
          await waitFor(begun(1), { timeoutMs: STORY_MS_MAX, what: 'a worker that has begun' });
          await workers[0]!.kill();
          workers.push(await aWorker(url));
          await waitFor(begun(2), { timeoutMs: STORY_MS_MAX, what: 'a second worker that has begun' });
          await writeFile(permission, '');
          assert.equal(await asking, 'True\n');
          assert.deepEqual(linesOf(diary), ['begun redelivered=False', 'begun redelivered=True']);
        } finally {
          for (const worker of workers) await worker.kill();
          await asking.catch(() => 'the first failure is the one to tell');
          await rm(folder, { recursive: true });
        }
      },
    },
  ],
};

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8').trimEnd().split('\n');
}

async function aWorker(url: string): Promise<RunningProgram> {
  const worker = new RunningProgram(
    PYTHON,
    ['-m', 'celery', '-A', 'celery_app', 'worker', '--concurrency=1', '--loglevel=INFO'],
    environment(url),
  );
  await worker.says(/ ready\.$/, 'output');
  return worker;
}

function ask(url: string, story: string, ...files: string[]): Promise<string> {
  return runProgram(PYTHON, [join(import.meta.dirname, 'celery_ask.py'), story, ...files], environment(url));
}

function environment(url: string): Record<string, string> {
  return {
    CELERY_BROKER: `${url}//`,
    PYTHONPATH: import.meta.dirname,
    PYTHONDONTWRITEBYTECODE: '1',
    // It warns about running as root, and goes on.
    C_FORCE_ROOT: '1',
  };
}
