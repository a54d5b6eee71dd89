import assert from 'node:assert/strict';
import { type ClientSuite, outputOf } from './client-suite.js';

export const amqpTools: ClientSuite = {
  name: 'amqp-tools',
  needs: { path: '/usr/bin/amqp-publish', packageName: 'amqp-tools' },
  checks: [
    {
      title: 'declares, publishes, gets and deletes from the shell',
      async run(url) {
        const queue = 'conformance.shell';
        assert.equal(await outputOf('amqp-declare-queue', ['-u', url, '-d', '-q', queue]), `${queue}\n`);
        await outputOf('amqp-publish', ['-u', url, '-r', queue, '-p', '-b', 'from the shell']);
        assert.equal(await outputOf('amqp-get', ['-u', url, '-q', queue]), 'from the shell');
        assert.equal(await outputOf('amqp-delete-queue', ['-u', url, '-q', queue]), '0\n');
      },
    },
  ],
};
