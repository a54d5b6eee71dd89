import { type Broker, DEFAULT_HASHING, type Engine, hashPassword } from '#broker';
import type { Operator, UserLimit, VirtualHostLimit } from './operator.js';

const LIMITS = {
  'max-connections': 'maxConnections',
  'max-channels': 'maxChannels',
  'max-queues': 'maxQueues',
} as const;

/** The operator of our broker, who works on its accounts and virtual hosts directly. */
export class OurOperator implements Operator {
  constructor(
    private readonly engine: Engine,
    private readonly broker: Broker,
  ) {}

  async addUser(name: string): Promise<void> {
    const passwordHash = hashPassword(name);
    this.engine.accounts.putUser({ name, passwordHash, hashingAlgorithm: DEFAULT_HASHING, tags: [] });
  }

  async deleteUser(name: string): Promise<void> {
    this.engine.accounts.deleteUser(name);
  }

  async addVirtualHost(name: string): Promise<void> {
    this.engine.putVirtualHost({ name, description: '', tags: [] });
  }

  async deleteVirtualHost(name: string): Promise<void> {
    this.engine.deleteVirtualHost(name);
  }

  async permit(user: string, virtualHost: string, configure: string, write: string, read: string): Promise<void> {
    this.engine.accounts.putPermission({ user, virtualHost, configure, write, read });
  }

  async permitTopics(user: string, virtualHost: string, exchange: string, write: string, read: string): Promise<void> {
    this.engine.accounts.putTopicPermission({ user, virtualHost, exchange, write, read });
  }

  async limitUser(name: string, limit: UserLimit, value: number): Promise<void> {
    const user = this.engine.accounts.user(name)!;
    this.engine.accounts.putUser({ ...user, limits: { [LIMITS[limit]]: value } });
  }

  async limitVirtualHost(name: string, limit: VirtualHostLimit, value: number): Promise<void> {
    this.engine.putVirtualHost({ name, description: '', tags: [], limits: { [LIMITS[limit]]: value } });
  }

  async raiseMemoryAlarm(): Promise<void> {
    this.broker.raiseAlarm('low on memory');
  }

  async clearMemoryAlarm(): Promise<void> {
    this.broker.clearAlarm();
  }
}
