import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { brokerUrlOf, loadSettings, requireSharedDatabase, secretsOf } from '#config';
import { matcherProblem } from '#dispatch';
import { connectMessaging, shownBrokerUrl } from '#messaging';
import { openPersistence } from '#persistence';
import { checkTarget, createSenders, targetKinds } from '#senders';
import { createLogger, Metrics, NestLogger, runProcess } from '#telemetry';
import { WorkerModule } from './worker.module.js';

/** The worker as a process of its own. */
runProcess(async (life) => {
  requireSharedDatabase(process.env, 'worker');
  const settings = await loadSettings({ environment: process.env, checkTarget, checkMatcher: matcherProblem });
  const logger = createLogger({ name: 'worker', level: settings.logLevel, secrets: secretsOf(settings) });
  const persistence = await openPersistence(settings);
  life.onStop(() => persistence.close());
  const url = brokerUrlOf(settings);
  const messaging = await connectMessaging({ url, name: 'tocsin-worker', logger, tls: settings.brokerTls });
  life.onStop(() => messaging.close());
  messaging.on('failed', (error) => life.end(1, error.message));
  const senders = createSenders(settings.configuration.senders);
  life.onStop(async () => {
    await Promise.all([...senders.values()].map((sender) => sender.close()));
  });

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
  life.onStop(() => app.close());
  life.announceReady('worker', { amqp: shownBrokerUrl(url) });
});
