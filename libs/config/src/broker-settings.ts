import { loadBrokerSection } from './configuration.js';
import { parseEnvironment } from './environment.js';
import type { BrokerConfiguration } from './settings.js';

/** What the broker's process is told. It needs no credentials and no database. */
export interface BrokerSettings {
  host: string;
  amqpPort: number;
  amqpsPort: number;
  managementPort: number;
  dataDirectory: string;
  /** Path of `tocsin.yaml`, whether it exists or not. */
  configFile: string;
  logLevel: string;
  configuration: BrokerConfiguration;
}

/**
 * Reads the environment and the section `broker` of `tocsin.yaml`. References (`${ENV}`, `file:`) of other sections stay
 * unresolved: their secrets are none of the broker's business.
 * @throws ConfigurationError with one line for each thing that is wrong
 */
export function loadBrokerSettings(environment: NodeJS.ProcessEnv): { settings: BrokerSettings; warnings: string[] } {
  const { values, warnings } = parseEnvironment(environment);
  const configuration = loadBrokerSection(values.TOCSIN_CONFIG, !environment['TOCSIN_CONFIG'], environment);
  return {
    settings: {
      host: values.TOCSIN_HOST,
      amqpPort: values.TOCSIN_AMQP_PORT,
      amqpsPort: values.TOCSIN_AMQPS_PORT,
      managementPort: values.TOCSIN_MANAGEMENT_PORT,
      dataDirectory: values.TOCSIN_DATA_DIR,
      configFile: values.TOCSIN_CONFIG,
      logLevel: values.TOCSIN_LOG_LEVEL,
      configuration,
    },
    warnings,
  };
}
