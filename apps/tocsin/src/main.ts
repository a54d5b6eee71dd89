import 'reflect-metadata';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { loadSettings, type Settings, secretsOf } from '#config';
import { matcherProblem } from '#dispatch';
import { connectMessaging, shownBrokerUrl } from '#messaging';
import { openPersistence, openPersistenceInThread, type Persistence } from '#persistence';
import { checkTarget, createSenders, targetKinds } from '#senders';
import { createLogger, Health, type Logger, Metrics, NestLogger, type ProcessLife, runProcess } from '#telemetry';
import { createApi } from '../../api/src/create-api.js';
import { DispatcherModule } from '../../dispatcher/src/dispatcher.module.js';
import { WorkerModule } from '../../worker/src/worker.module.js';
import { startEmbeddedBroker } from './embedded-broker.js';

/** Everything in one: the broker as a process of its own, api, dispatcher and worker as one service with one database client. */
runProcess(async (life) => {
  const settings = await loadSettings({ environment: process.env, checkTarget, checkMatcher: matcherProblem });
  const logger = createLogger({ name: 'tocsin', level: settings.logLevel, secrets: secretsOf(settings) });
  const metrics = new Metrics();
  const health = new Health();

  const broker = await brokerFor(settings, life, logger);
  const persistence = await persistenceFor(settings, life);
  life.onStop(() => persistence.close());
  health.addReady('database', () => persistence.ping());
  const messaging = await connectMessaging({ url: broker.url, name: 'tocsin', logger, tls: settings.brokerTls });
  life.onStop(() => messaging.close());
  messaging.on('failed', (error) => life.end(1, error.message));
  const senders = createSenders(settings.configuration.senders);
  life.onStop(async () => {
    await Promise.all([...senders.values()].map((sender) => sender.close()));
  });

  const { review, worker, dispatcher } = persistence;
  const { secretKey } = settings;
  const shared = { settings, messaging, review, targetKinds, logger, metrics, health };
  const workerParts = { ...shared, store: worker, database: persistence, senders, secretKey };
  await startContext(WorkerModule.register(workerParts), life, logger);
  await startContext(DispatcherModule.register({ ...shared, store: dispatcher }), life, logger);
  const api = await createApi(shared);
  life.onStop(() => api.close());
  life.announceReady(undefined, { http: api.url, ...broker.shownUrls });
});

interface BrokerInUse {
  /** For the service itself. */
  url: string;
  /** For the ready line: no password. */
  shownUrls: Record<string, string>;
}

async function brokerFor(settings: Settings, life: ProcessLife, logger: Logger): Promise<BrokerInUse> {
  const { brokerUrl } = settings;
  if (brokerUrl !== undefined) return { url: brokerUrl, shownUrls: { amqp: shownBrokerUrl(brokerUrl) } };

  const broker = await startEmbeddedBroker(settings, process.env, life, logger);
  life.onStop(() => broker.stop());
  return broker;
}

function persistenceFor({ databaseUrl, dataDirectory }: Settings, life: ProcessLife): Promise<Persistence> {
  if (databaseUrl !== undefined) return openPersistence({ databaseUrl, dataDirectory });

  const onFailed = (error: Error) => life.end(1, `the database failed and the service ends: ${error.message}`);
  return openPersistenceInThread({ dataDirectory, onFailed });
}

/** Runs a Nest application without HTTP until the process ends. */
async function startContext(module: DynamicModule, life: ProcessLife, logger: Logger): Promise<void> {
  const app = await NestFactory.createApplicationContext(module, {
    logger: new NestLogger(logger),
    abortOnError: false,
  });
  life.onStop(() => app.close());
}
