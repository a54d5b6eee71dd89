export * from './alert.js';
export * from './budget.js';
export { type DecidedChanges, Decisions, type Publication } from './decisions.js';
export { ALERTS_MAX, Dispatch, type DispatchOptions, type SuppressedReason } from './dispatcher.js';
export { fingerprint } from './fingerprint.js';
export { ALERTS_PER_NOTIFICATION_MAX } from './group-content.js';
export * from './ladder.js';
export {
  createMatcher,
  type Matcher,
  MatcherError,
  type MatchOperator,
  matcherProblem,
  matchesAll,
  parseMatcher,
  parseMatchers,
} from './matcher.js';
export { hasEnded } from './merge.js';
export * from './normalise.js';
export * from './notification.js';
export * from './notification-channel.js';
export * from './notification-id.js';
export * from './outcome.js';
export * from './ports.js';
export * from './receiver.js';
export * from './retry.js';
export { buildRoutingTree, RouteError, type RouteNode } from './routing-tree.js';
export * from './sealing.js';
export * from './sender.js';
export * from './severity.js';
export { TimeLimit } from './time-limit.js';
export { type DigestLimits, titleOf } from './waiting-room.js';
