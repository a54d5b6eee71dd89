import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { loadSettings, type Settings } from '#config';
import { matcherProblem } from '#dispatch';
import { connectMessaging, shownBrokerUrl } from '#messaging';
import { openPersistence } from '#persistence';
import { createLogger, Metrics, NestLogger } from '#telemetry';
import { DispatcherModule } from './dispatcher.module.js';

/** SIGTERM must end in exit 0 within 10 s, also when something closes too slowly. */
const EXIT_MS_MAX = 9_700;

/** Starts the dispatcher as a process of its own. */
async function main(): Promise<void> {
  const settings = await loadSettings({ environment: process.env, checkMatcher: matcherProblem });
  if (settings.databaseUrl === undefined) {
    throw new Error(
      'the dispatcher as a process of its own needs PostgreSQL: set DATABASE_URL=postgresql://..., or run everything in one with npm start',
    );
  }
  const logger = createLogger({
    name: 'dispatcher',
    level: settings.logLevel,
    secrets: [settings.ingestToken, settings.adminPassword],
  });
  const persistence = await openPersistence(settings);
  const messaging = await connectMessaging({ url: brokerUrlOf(settings), name: 'tocsin-dispatcher', logger });
  const app = await NestFactory.createApplicationContext(
    DispatcherModule.register({ settings, store: persistence.dispatcher, messaging, logger, metrics: new Metrics() }),
    { logger: new NestLogger(logger), abortOnError: false },
  );

  /** In the reverse order of the start. */
  const stop = async (exitCode: number) => {
    setTimeout(() => process.exit(exitCode), EXIT_MS_MAX).unref();
    await app.close();
    await messaging.close();
    await persistence.close();
    process.exit(exitCode);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(0));
  messaging.on('failed', (error) => {
    process.stderr.write(`${error.message}\n`);
    void stop(1);
  });
  process.stdout.write(`tocsin ready dispatcher amqp=${shownBrokerUrl(brokerUrlOf(settings))}\n`);
}

function brokerUrlOf({ brokerUrl, host, amqpPort }: Settings): string {
  return brokerUrl ?? `amqp://guest:guest@${host}:${amqpPort}`;
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
