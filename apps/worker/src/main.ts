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
  const settings = await loadSettings({ environment: process.env });
  if (settings.databaseUrl === undefined) {
    throw new Error(
      'the worker as a process of its own needs PostgreSQL: set DATABASE_URL=postgresql://..., or run everything in one with npm start',
    );
  }
  const logger = createLogger({ name: 'worker', level: settings.logLevel, secrets: secretsOf(settings) });
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

  /** In the reverse order of the start. */
  const stop = async (exitCode: number) => {
    setTimeout(() => process.exit(exitCode), EXIT_MS_MAX).unref();
    await app.close();
    await Promise.all([...senders.values()].map((sender) => sender.close()));
    await messaging.close();
    await persistence.close();
    process.exit(exitCode);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(0));
  messaging.on('failed', (error) => {
    process.stderr.write(`${error.message}\n`);
    void stop(1);
  });
  process.stdout.write(`tocsin ready worker amqp=${shownBrokerUrl(brokerUrlOf(settings))}\n`);
}

function brokerUrlOf({ brokerUrl, host, amqpPort }: Settings): string {
  return brokerUrl ?? `amqp://guest:guest@${host}:${amqpPort}`;
}

function secretsOf(settings: Settings): string[] {
  return [settings.ingestToken, settings.adminPassword];
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
