import { loadSettings, type Settings } from '#config';
import { matcherProblem } from '#dispatch';
import { connectMessaging } from '#messaging';
import { openPersistence } from '#persistence';
import { targetKinds } from '#senders';
import { createLogger, Health, Metrics } from '#telemetry';
import { checkTarget } from './check-target.js';
import { createApi } from './create-api.js';

/** SIGTERM must end in exit 0 within 10 s, also when something closes too slowly. */
const EXIT_MS_MAX = 9_700;

/** Starts the api as a process of its own. */
async function main(): Promise<void> {
  // Before the settings are loaded: a start that cannot succeed makes no credentials.
  if (!process.env['DATABASE_URL']) {
    throw new Error(
      'the api as a process of its own needs PostgreSQL: set DATABASE_URL=postgresql://..., or run everything in one with npm start',
    );
  }
  const settings = await loadSettings({ environment: process.env, checkTarget, checkMatcher: matcherProblem });
  const secrets = [settings.ingestToken, settings.adminPassword];
  const logger = createLogger({ name: 'api', level: settings.logLevel, secrets });
  const persistence = await openPersistence(settings);
  const messaging = await connectMessaging({ url: brokerUrlOf(settings), name: 'tocsin-api', logger });
  const health = new Health();
  health.addReady('database', () => persistence.ping());
  const { review } = persistence;
  const api = await createApi({ settings, messaging, review, targetKinds, logger, metrics: new Metrics(), health });

  /** In the reverse order of the start; a second signal changes nothing. */
  let isStopping = false;
  const stop = async (exitCode: number) => {
    if (isStopping) return;
    isStopping = true;
    setTimeout(() => process.exit(exitCode), EXIT_MS_MAX).unref();
    await api.close();
    await messaging.close();
    await persistence.close();
    process.exit(exitCode);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(0));
  messaging.on('failed', (error) => {
    process.stderr.write(`${error.message}\n`);
    void stop(1);
  });
  process.stdout.write(`tocsin ready api http=${api.url}\n`);
}

function brokerUrlOf({ brokerUrl, host, amqpPort }: Settings): string {
  return brokerUrl ?? `amqp://guest:guest@${host}:${amqpPort}`;
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
