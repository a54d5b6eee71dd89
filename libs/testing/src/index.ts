export * from './arrivals.js';
export * from './free-port.js';
export * from './simulators/dingtalk.js';
export type { HttpAnswer, HttpFault, HttpRequest } from './simulators/http-simulator.js';
export * from './simulators/smtp-server.js';
export * from './simulators/webhook-receiver.js';
export * from './wait-for.js';
