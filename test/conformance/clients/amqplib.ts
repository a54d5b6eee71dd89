import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import type { ClientSuite } from './client-suite.js';

/** The client the services of this project use. */
export const amqplib: ClientSuite = {
  name: 'amqplib (npm)',
  checks: [
    {
      title: 'publishes with confirms and gets the messages back in order',
      async run(url) {
        const connection = await connect(url);
        try {
          const channel = await connection.createConfirmChannel();
          const { queue } = await channel.assertQueue('', { exclusive: true });
          for (let number = 0; number < 50; number++) channel.sendToQueue(queue, Buffer.from(String(number)));
          await channel.waitForConfirms();
          for (let number = 0; number < 50; number++) {
            const message = await channel.get(queue, { noAck: true });
            assert(message !== false);
            assert.equal(message.content.toString(), String(number));
          }
        } finally {
          await connection.close();
        }
      },
    },
    {
      title: 'hears why its channel was closed',
      async run(url) {
        const connection = await connect(url);
        try {
          const channel = await connection.createChannel();
          channel.on('error', () => {});
          await assert.rejects(
            channel.checkQueue('conformance.missing'),
            /404 \(NOT-FOUND\).*no queue 'conformance.missing'/,
          );
        } finally {
          await connection.close();
        }
      },
    },
  ],
};
