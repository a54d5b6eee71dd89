import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { hasDebianFile, removeFolder, startService } from '#testing';

const describeWithPika = hasDebianFile('/usr/lib/python3/dist-packages/pika/__init__.py', 'python3-pika')
  ? describe
  : describe.skip;

describeWithPika("Debian's python3-pika on the embedded broker", () => {
  it('publishes with confirms, consumes with prefetch, and gets an unroutable message back', async () => {
    const broker = await startService({ app: 'broker' });
    try {
      const script = join(import.meta.dirname, 'publish_and_consume.py');
      const { stdout } = await promisify(execFile)('/usr/bin/python3', [script, new URL(broker.amqp).port]);
      expect(stdout).toBe('unroutable: returned\nseen: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] redelivered: False left: 0\n');
    } finally {
      await broker.kill();
      await removeFolder(broker.folder);
    }
  });
});
