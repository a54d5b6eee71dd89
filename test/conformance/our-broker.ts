import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, openEngine } from '#broker';
import type { Operator } from './operator.js';
import { OurOperator } from './our-operator.js';
import type { Address } from './peer.js';

/** Our broker on a port of its own and an empty folder, which `stop` removes. */
export async function startOurBroker(): Promise<{ address: Address; operator: Operator; stop(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'tocsin-conformance-'));
  const engine = await openEngine({ directory });
  const broker = new Broker({ port: 0, virtualHosts: engine, durability: engine.durability, users: engine.accounts });
  await broker.listen();
  return {
    address: { host: '127.0.0.1', port: broker.port },
    operator: new OurOperator(engine, broker),
    async stop() {
      await broker.close();
      await engine.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
