import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type ClientSuite, outputOf } from './client-suite.js';

export const pika: ClientSuite = {
  name: 'pika (python3-pika)',
  needs: { path: '/usr/lib/python3/dist-packages/pika/__init__.py', packageName: 'python3-pika' },
  checks: ['topics', 'dead-letters', 'closed-channel'].map((story) => ({
    title: story,
    async run(url) {
      const script = join(import.meta.dirname, 'pika_checks.py');
      assert.equal(await outputOf('/usr/bin/python3', [script, url, story]), 'ok\n');
    },
  })),
};
