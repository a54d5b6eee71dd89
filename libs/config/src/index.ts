export { type ConfigurationChecks, loadConfiguration } from './configuration.js';
export { ConfigurationError, type ConfigurationProblem } from './configuration-error.js';
export { parseDuration } from './duration.js';
export { type Environment, environmentTable, parseEnvironment } from './environment.js';
export { listenError } from './listen-error.js';
export { type LoadSettingsOptions, loadSettings } from './load-settings.js';
export { secretsOf } from './secrets-of.js';
export { brokerUrlOf, requireSharedDatabase, urlHost } from './separate-process.js';
export * from './settings.js';
