import assert from 'node:assert/strict';
import { Connection } from 'rabbitmq-client';
import type { ClientSuite } from './client-suite.js';

export const rabbitmqClient: ClientSuite = {
  name: 'rabbitmq-client (npm)',
  checks: [
    {
      title: 'calls a remote procedure over direct reply-to',
      async run(url) {
        const connection = new Connection(url);
        const server = connection.createConsumer(
          { queue: 'conformance.rpc', queueOptions: { autoDelete: true } },
          async (request, reply) => reply(`${request.body} pong`),
        );
        const client = connection.createRPCClient({ confirm: true });
        try {
          await new Promise<void>((resolve) => server.once('ready', resolve));
          assert.equal((await client.send('conformance.rpc', 'ping')).body, 'ping pong');
        } finally {
          await client.close();
          await server.close();
          await connection.close();
        }
      },
    },
    {
      title: 'gets an unroutable mandatory message back, and its confirm',
      async run(url) {
        const connection = new Connection(url);
        const publisher = connection.createPublisher({ confirm: true });
        const returned: string[] = [];
        const isReturned = new Promise<void>((resolve) => {
          publisher.on('basic.return', ({ replyText }) => {
            returned.push(replyText);
            resolve();
          });
        });
        try {
          await publisher.send({ routingKey: 'conformance.nowhere', mandatory: true }, 'x');
          await isReturned;
          assert.equal(returned.join(), 'NO_ROUTE');
        } finally {
          await publisher.close();
          await connection.close();
        }
      },
    },
  ],
};
