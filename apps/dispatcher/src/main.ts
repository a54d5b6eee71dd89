import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { brokerUrlOf, loadSettings, requireSharedDatabase, secretsOf } from '#config';
import { matcherProblem } from '#dispatch';
import { connectMessaging, shownBrokerUrl } from '#messaging';
import { openPersistence } from '#persistence';
import { checkTarget } from '#senders';
import { createLogger, Metrics, NestLogger, runProcess } from '#telemetry';
import { DispatcherModule } from './dispatcher.module.js';

/** The dispatcher as a process of its own. */
runProcess(async (life) => {
  requireSharedDatabase(process.env, 'dispatcher');
  const settings = await loadSettings({ environment: process.env, checkTarget, checkMatcher: matcherProblem });
  const logger = createLogger({ name: 'dispatcher', level: settings.logLevel, secrets: secretsOf(settings) });
  const persistence = await openPersistence(settings);
  life.onStop(() => persistence.close());
  const url = brokerUrlOf(settings);
  const messaging = await connectMessaging({ url, name: 'tocsin-dispatcher', logger, tls: settings.brokerTls });
  life.onStop(() => messaging.close());
  messaging.on('failed', (error) => life.end(1, error.message));

  const app = await NestFactory.createApplicationContext(
    DispatcherModule.register({ settings, store: persistence.dispatcher, messaging, logger, metrics: new Metrics() }),
    { logger: new NestLogger(logger), abortOnError: false },
  );
  life.onStop(() => app.close());
  life.announceReady('dispatcher', { amqp: shownBrokerUrl(url) });
});
