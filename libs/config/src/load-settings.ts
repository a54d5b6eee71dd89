import { type ConfigurationChecks, loadConfiguration } from './configuration.js';
import { keepCredentials } from './credentials.js';
import { parseEnvironment } from './environment.js';
import type { Settings } from './settings.js';

export interface LoadSettingsOptions extends ConfigurationChecks {
  environment: NodeJS.ProcessEnv;
  /** Takes warnings and, once per data folder, the credentials that were made. Default: stderr. */
  print?: (line: string) => void;
}

/**
 * Puts `tocsin.yaml`, the environment and the first-run credentials together.
 * @throws ConfigurationError with one line for each thing that is wrong; nothing was started or written then
 */
export async function loadSettings(options: LoadSettingsOptions): Promise<Settings> {
  const { environment, print = (line) => process.stderr.write(`${line}\n`) } = options;
  const { values, warnings } = parseEnvironment(environment);
  const configuration = loadConfiguration(values.TOCSIN_CONFIG, !environment['TOCSIN_CONFIG'], environment, options);
  for (const warning of warnings) print(`warning: ${warning}`);

  return {
    host: values.TOCSIN_HOST,
    httpPort: values.TOCSIN_HTTP_PORT,
    amqpPort: values.TOCSIN_AMQP_PORT,
    managementPort: values.TOCSIN_MANAGEMENT_PORT,
    dataDirectory: values.TOCSIN_DATA_DIR,
    brokerUrl: values.BROKER_URL,
    brokerTls: {
      caFile: values.BROKER_CA_FILE,
      certFile: values.BROKER_CERT_FILE,
      keyFile: values.BROKER_KEY_FILE,
    },
    databaseUrl: values.DATABASE_URL,
    logLevel: values.TOCSIN_LOG_LEVEL,
    ...(await credentialsOf(values, print)),
    configuration,
  };
}

/** The data folder is touched only when the environment leaves one of the three unset. */
async function credentialsOf(
  values: ReturnType<typeof parseEnvironment>['values'],
  print: (line: string) => void,
): Promise<Pick<Settings, 'ingestToken' | 'adminPassword' | 'secretKey'>> {
  const {
    TOCSIN_INGEST_TOKEN: ingestToken,
    TOCSIN_ADMIN_PASSWORD: adminPassword,
    TOCSIN_SECRET_KEY: secretKey,
  } = values;
  if (ingestToken && adminPassword && secretKey) return { ingestToken, adminPassword, secretKey };

  const { credentials, isNew, file } = await keepCredentials(values.TOCSIN_DATA_DIR);
  if (isNew) {
    print(`First start: credentials were made and kept in ${file}. They are shown this once.`);
    if (!ingestToken) print(`  ingest token    ${credentials.ingestToken}`);
    if (!adminPassword) print(`  admin password  ${credentials.adminPassword}   (user: admin)`);
  }
  return {
    ingestToken: ingestToken ?? credentials.ingestToken,
    adminPassword: adminPassword ?? credentials.adminPassword,
    secretKey: secretKey ?? Buffer.from(credentials.secretKey, 'base64'),
  };
}
