import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { loadSettings, type Settings } from '#config';
import { connectMessaging, shownBrokerUrl } from '#messaging';
import { openPersistence } from '#persistence';
import { createSenders, targetKinds } from '#senders';
import { createLogger, Metrics, NestLogger } from '#telemetry';
import { WorkerModule } from './worker.module.js';

/** SIGTERM must end in exit 0 within 10 s, also when something closes too slowly. */
const EXIT_MS_MAX = 9_700;

/** Starts the worker as a process of its own. */
async function main(): Promise<void> {
  // Before the settings are loaded: a start that cannot succeed makes no credentials.
  if (!process.env['DATABASE_URL']) {
    throw new Error(
      'the worker as a process of its own needs PostgreSQL: set DATABASE_URL=postgresql://..., or run everything in one with npm start',
    );
  }
  const settings = await loadSettings({ environment: process.env });
  const secrets = [settings.ingestToken, settings.adminPassword];
  const logger = createLogger({ name: 'worker', level: settings.logLevel, secrets });
  const persistence = await openPersistence(settings);
  const messaging = await connectMessaging({ url: brokerUrlOf(settings), name: 'tocsin-worker', logger });
  const senders = createSenders(settings.configuration.senders);
  const app = await NestFactory.createApplicationContext(
    WorkerModule.register({
      ...{ settings, messaging, senders, targetKinds, logger },
      store: persistence.worker,
      review: persistence.review,
      database: persistence,
      secretKey: settings.secretKey,
      metrics: new Metrics(),
    }),
    { logger: new NestLogger(logger), abortOnError: false },
  );

  /** In the reverse order of the start; a second signal changes nothing. */
  let isStopping = false;
  const stop = async (exitCode: number) => {
    if (isStopping) return;
    isStopping = true;
    setTimeout(() => process.exit(exitCode), EXIT_MS_MAX).unref();
    await app.close();
    await Promise.all([...senders.values()].map((sender) => sender.close()));
    await messaging.close();
    await persistence.close();
    process.exit(exitCode);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(0));
  messaging.on('failed', (error) => {
    process.stderr.write(`${error.message}\n`);
    void stop(1);
  });
  process.stdout.write(`tocsin ready worker amqp=${shownBrokerUrl(brokerUrlOf(settings))}\n`);
}

function brokerUrlOf({ brokerUrl, host, amqpPort }: Settings): string {
  return brokerUrl ?? `amqp://guest:guest@${host}:${amqpPort}`;
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
