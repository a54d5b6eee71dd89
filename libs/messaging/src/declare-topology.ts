import type { Channel } from 'amqplib';
import { TopologyError } from './errors.js';
import { BINDINGS, EXCHANGES, QUEUES } from './topology.js';

const PRECONDITION_FAILED = 406;

/** Declares every exchange, queue and binding of the service; declaring what exists changes nothing. Throws `TopologyError` on a mismatch. */
export async function declareTopology(channel: Channel): Promise<void> {
  for (const { name, type } of Object.values(EXCHANGES)) {
    await channel.assertExchange(name, type, { durable: true }).catch(explained(`exchange '${name}'`));
  }
  for (const { name, arguments: queueArguments } of QUEUES) {
    await channel.assertQueue(name, { durable: true, arguments: queueArguments }).catch(explained(`queue '${name}'`));
  }
  for (const { queue, exchange, routingKey, arguments: bindingArguments } of BINDINGS) {
    await channel.bindQueue(queue, exchange, routingKey, bindingArguments);
  }
}

function explained(what: string): (error: unknown) => never {
  return (error) => {
    if ((error as { code?: unknown }).code !== PRECONDITION_FAILED) throw error;
    throw new TopologyError(
      `the broker has ${what} with other properties than this version declares; delete it there (its messages go with it) or use another virtual host`,
      { cause: error },
    );
  };
}
