import assert from 'node:assert/strict';
import { type ClientSuite, outputOf } from './client-suite.js';

export const amqpTools: ClientSuite = {
  name: 'amqp-tools',
  needs: { path: '/usr/bin/amqp-publish', packageName: 'amqp-tools' },
  checks: [
    {
      title: 'declares, publishes, gets, consumes and deletes from the shell',
      async run(url) {
        const queue = 'conformance.shell';
        assert.equal(await outputOf('amqp-declare-queue', ['-u', url, '-d', '-q', queue]), `${queue}\n`);
        await outputOf('amqp-publish', ['-u', url, '-r', queue, '-p', '-b', 'from the shell']);
        assert.equal(await outputOf('amqp-get', ['-u', url, '-q', queue]), 'from the shell');
        for (const body of ['one', 'two']) await outputOf('amqp-publish', ['-u', url, '-r', queue, '-b', body]);
        // It acknowledges a message when the command has succeeded.
        assert.equal(await outputOf('amqp-consume', ['-u', url, '-q', queue, '-c', '2', '-p', '1', 'cat']), 'onetwo');
        assert.equal(await outputOf('amqp-delete-queue', ['-u', url, '-q', queue]), '0\n');
      },
    },
  ],
};
