import type { Broker, Engine } from '#broker';
import type { ServiceUsers } from '../service-users.js';

/** What the pages on users, permissions, virtual hosts and connections work on. Handed in by the process. */
export interface BrokerAccess {
  readonly users: ServiceUsers;
  readonly engine: Pick<
    Engine,
    'accounts' | 'durability' | 'stats' | 'virtualHost' | 'putVirtualHost' | 'deleteVirtualHost'
  >;
  readonly broker: Pick<Broker, 'closeConnection'>;
}

/** Nest's token for it. */
export const BROKER_ACCESS = Symbol('BrokerAccess');
