import 'reflect-metadata';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { loadSettings, type Settings } from '#config';
import { matcherProblem } from '#dispatch';
import { connectMessaging, shownBrokerUrl } from '#messaging';
import { openPersistence } from '#persistence';
import { createSenders, targetKinds } from '#senders';
import { createLogger, Health, type Logger, Metrics, NestLogger, type ProcessLife, runProcess } from '#telemetry';
import { checkTarget } from '../../api/src/check-target.js';
import { createApi } from '../../api/src/create-api.js';
import { DispatcherModule } from '../../dispatcher/src/dispatcher.module.js';
import { WorkerModule } from '../../worker/src/worker.module.js';
import { startEmbeddedBroker } from './embedded-broker.js';

runProcess(async (life) => {
  const undo: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    await start(life, undo);
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
});

/** Starts what the next step needs before that step; each step leaves behind what undoes it. */
async function start(life: ProcessLife, undo: (() => Promise<void>)[]): Promise<void> {
  const settings = await loadSettings({ environment: process.env, checkTarget, checkMatcher: matcherProblem });
  const secrets = [settings.ingestToken, settings.adminPassword];
  const logger = createLogger({ name: 'tocsin', level: settings.logLevel, secrets });
  const metrics = new Metrics();
  const health = new Health();

  const broker = await brokerFor(settings, life, logger, undo);
  const persistence = await openPersistence(settings);
  undo.push(() => persistence.close());
  health.addReady('database', () => persistence.ping());
  const messaging = await connectMessaging({ url: broker.url, name: 'tocsin', logger });
  undo.push(() => messaging.close());
  messaging.on('failed', (error) => life.end(1, error.message));
  const senders = createSenders(settings.configuration.senders);
  undo.push(async () => {
    await Promise.all([...senders.values()].map((sender) => sender.close()));
  });

  const { review, worker, dispatcher } = persistence;
  const shared = { settings, messaging, review, targetKinds, logger, metrics, health };
  undo.push(
    await startContext(
      WorkerModule.register({
        ...shared,
        store: worker,
        database: persistence,
        senders,
        secretKey: settings.secretKey,
      }),
      logger,
    ),
  );
  undo.push(await startContext(DispatcherModule.register({ ...shared, store: dispatcher }), logger));
  const api = await createApi(shared);
  undo.push(() => api.close());
  life.announceReady(undefined, { http: api.url, ...broker.urls });
}

interface BrokerInUse {
  /** For the service itself. */
  url: string;
  /** For the ready line: no password. */
  urls: Record<string, string>;
}

async function brokerFor(
  settings: Settings,
  life: ProcessLife,
  logger: Logger,
  undo: (() => Promise<void>)[],
): Promise<BrokerInUse> {
  if (settings.brokerUrl !== undefined) {
    return { url: settings.brokerUrl, urls: { amqp: shownBrokerUrl(settings.brokerUrl) } };
  }
  const broker = await startEmbeddedBroker(settings, process.env, life, logger);
  undo.push(() => broker.stop());
  const { host } = settings;
  return {
    url: broker.url,
    urls: { amqp: `amqp://${host}:${broker.amqpPort}`, management: `http://${host}:${broker.managementPort}` },
  };
}

/** A Nest application without HTTP; answers what stops it. */
async function startContext(module: DynamicModule, logger: Logger): Promise<() => Promise<void>> {
  const app = await NestFactory.createApplicationContext(module, {
    logger: new NestLogger(logger),
    abortOnError: false,
  });
  return () => app.close();
}
