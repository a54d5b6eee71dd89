export { type Permission, TAGS, type TopicPermission, type User, type UserLimits } from './access/account.js';
export { Accounts, LOOPBACK_USERS } from './access/accounts.js';
export { isLoopback } from './access/loopback.js';
export {
  DEFAULT_HASHING,
  HASHING_ALGORITHMS,
  type HashingAlgorithm,
  hashPassword,
  isHashingAlgorithm,
  isSameText,
} from './access/password.js';
export { PatternError } from './access/pattern.js';
export { ALL_RIGHTS, type Right, type Rights } from './access/rights.js';
export { Broker, type BrokerOptions, SHUTDOWN_MS_MAX } from './broker.js';
export { type Behaviour, behaviourOf, type Compat, type Permits } from './compat.js';
export type { Peer } from './connection/connection-context.js';
export { type Account, GUEST, StaticUsers, type Users } from './connection/users.js';
export type { Consumer, SettlementQueue } from './consumer.js';
export type { Counters } from './counters.js';
export {
  type Engine,
  type EngineOptions,
  type EngineStats,
  openEngine,
  RESERVE_BYTES,
  type VirtualHostProperties,
  type VirtualHostStats,
} from './engine.js';
export { ChannelError, ConnectionError, REPLY_CODES, type ReplyName } from './errors.js';
export type { BrokerLog } from './log.js';
export { Message } from './message.js';
export type { RecoveryFinding, RecoverySummary } from './recovery-report.js';
export type { BrokerStats, ChannelStats, ConnectionStats } from './stats.js';
export type { Certificates, TlsDetails, TlsOptions } from './tls-listener.js';
export type {
  Binding,
  Durability,
  ExchangeDeclaration,
  Owner,
  PublishResult,
  QueueDeclaration,
  ReadyMessage,
  VirtualHost,
  VirtualHostDirectory,
  VirtualHostLimits,
} from './virtual-host.js';
