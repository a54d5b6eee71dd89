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
      title: 'hears of an unroutable mandatory message before its confirm',
      async run(url) {
        const connection = new Connection(url);
        const publisher = connection.createPublisher({ confirm: true });
        const returned: string[] = [];
        publisher.on('basic.return', ({ replyText }) => returned.push(replyText));
        try {
          await publisher.send({ routingKey: 'conformance.nowhere', mandatory: true }, 'x');
          assert.equal(returned.join(), 'NO_ROUTE');
        } finally {
          await publisher.close();
          await connection.close();
        }
      },
    },
  ],
};
