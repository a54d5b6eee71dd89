export { shownBrokerUrl } from './broker-urls.js';
export { ackAll, type Delivery } from './delivery.js';
export * from './errors.js';
export type { MessagingLogger } from './logger.js';
export { connectMessaging, Messaging, type MessagingOptions, NamedConnection } from './messaging.js';
export { type OutgoingMessage, Publisher, type PublishResult, UNCONFIRMED_MAX } from './publisher.js';
export type { Request, RequestResult } from './requests.js';
export { type ConsumeOptions, Subscription } from './subscription.js';
export * from './topology.js';
