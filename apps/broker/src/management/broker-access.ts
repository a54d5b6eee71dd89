import type { Engine } from '#broker';
import type { ServiceUsers } from '../service-users.js';

/** What the pages on users, permissions and virtual hosts work on. Handed in by the process. */
export interface BrokerAccess {
  readonly users: ServiceUsers;
  readonly engine: Pick<
    Engine,
    'accounts' | 'durability' | 'stats' | 'virtualHost' | 'putVirtualHost' | 'deleteVirtualHost'
  >;
}

/** Nest's token for it. */
export const BROKER_ACCESS = Symbol('BrokerAccess');
