export { Health, type HealthReport } from './health.js';
export { createLogger, type Logger, type LoggerOptions } from './logger.js';
export { Metrics } from './metrics.js';
export { NestLogger } from './nest-logger.js';
export { type ProcessLife, runProcess } from './process-life.js';
export { redactor } from './redact.js';
