import { join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Behaviour, Broker, behaviourOf, type Engine, openEngine, RESERVE_BYTES, type Users } from '#broker';
import { type BrokerSettings, listenError, type TlsConfiguration } from '#config';
import { type Logger, NestLogger } from '#telemetry';
import { AlarmWatch, resourcesOf, watermarksOf } from './alarms.js';
import { lockDataFolder } from './data-folder-lock.js';
import type { BrokerAccess } from './management/broker-access.js';
import type { BrokerStatus } from './management/broker-status.js';
import { ManagementModule } from './management/management.module.js';
import { gatherPageMethods } from './management/page-methods.js';
import { readBodiesAsJson } from './management/request-body.js';
import { UnknownPageFilter } from './management/unknown-page.filter.js';
import { type ServiceAccount, ServiceUsers } from './service-users.js';
import { watchSettings } from './settings-watch.js';
import { statusOf } from './status.js';
import { readCertificates, watchCertificates } from './tls-files.js';

export interface BrokerServerOptions {
  settings: BrokerSettings;
  /** The account of the service that started this broker, not limited to loopback. */
  serviceAccount: ServiceAccount | undefined;
  logger: Logger;
  /** The log failed: nothing is confirmed any more, and only a new start reads what the disk really holds. */
  onFailed(error: Error): void;
}

/** A running broker: data folder locked, log open, AMQP and management listening. The caller closes it. */
export interface BrokerServer {
  amqpPort: number;
  /** Undefined without a certificate. */
  amqpsPort: number | undefined;
  managementPort: number;
  /** In the reverse order of the start: clients are told, the log is synced, the folder let go. */
  close(): Promise<void>;
}

/** @throws Error with one sentence: data folder in use, a port taken, the log unreadable */
export async function startBrokerServer(options: BrokerServerOptions): Promise<BrokerServer> {
  const { settings, logger } = options;
  const { dataDirectory, configuration } = settings;
  const behaviour = behaviourOf(configuration.compat, configuration.permitDeprecated);
  const undo: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const lock = await lockDataFolder(dataDirectory);
    undo.push(() => lock.release());
    const engine = await openEngine({
      directory: join(dataDirectory, 'broker'),
      loopbackUsers: configuration.loopbackUsers,
      behaviour,
      consumerTimeoutMs: configuration.consumerTimeoutMs,
      log: (text) => logger.warn(text),
      reserveBytes: RESERVE_BYTES,
    });
    undo.push(() => engine.close());
    engine.onFailed(options.onFailed);

    const users = new ServiceUsers(engine.accounts, options.serviceAccount);
    const broker = await listen(options, behaviour, engine, users);
    undo.push(() => broker.close());
    if (configuration.tls !== undefined) undo.push(await listenTls(options, configuration.tls, broker));
    const watermarks = watermarksOf(configuration, behaviour.memoryShareMax);
    const resources = resourcesOf(dataDirectory, () => engine.isLowOnDisk);
    const alarms = new AlarmWatch(resources, watermarks, broker, (text) => logger.warn(text));
    await alarms.start();
    engine.onLowOnDisk(() => void alarms.look());
    undo.push(async () => alarms.stop());
    const unwatch = watchSettings(
      settings.configFile,
      process.env,
      (changed) => alarms.setWatermarks(watermarksOf(changed, behaviour.memoryShareMax)),
      (text) => logger.warn(text),
    );
    undo.push(async () => unwatch());
    const management = await serveManagement(options, statusOf(engine, broker), { users, engine, broker });
    undo.push(() => management.close());
    return { amqpPort: broker.port, amqpsPort: broker.tlsPort, managementPort: portOf(management), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listen(
  { settings, logger }: BrokerServerOptions,
  behaviour: Behaviour,
  engine: Engine,
  users: Users,
): Promise<Broker> {
  const { host, amqpPort: port, configuration } = settings;
  const broker = new Broker({
    host,
    port,
    virtualHosts: engine,
    durability: engine.durability,
    users,
    behaviour,
    heartbeatSeconds: configuration.heartbeatSeconds,
    frameMax: configuration.frameMax,
    channelMax: configuration.channelMax,
    messageBytesMax: configuration.maxMessageBytes,
    log: logger,
  });
  await broker.listen().catch((error) => {
    throw listenError(error, { what: 'AMQP', host, port, variable: 'TOCSIN_AMQP_PORT' });
  });
  return broker;
}

/** Returns what ends the watch over the files. */
async function listenTls(
  { settings, logger }: BrokerServerOptions,
  tls: TlsConfiguration,
  broker: Broker,
): Promise<() => Promise<void>> {
  const { amqpsPort: port } = settings;
  const { host = settings.host, verify, failIfNoPeerCert } = tls;
  const certificates = await readCertificates(tls);
  await broker.listenTls({ host, port, verify, failIfNoPeerCert, ...certificates }).catch((error) => {
    throw listenError(error, { what: 'AMQP over TLS', host, port, variable: 'TOCSIN_AMQPS_PORT' });
  });
  const renew = async () => {
    try {
      broker.renewCertificates(await readCertificates(tls));
      logger.info('new certificates are in use for new connections');
    } catch (error) {
      // Of a pair that is being replaced the second file may still be the old one; its change comes next.
      logger.warn(`the old certificates stay in use: ${(error as Error).message}`);
    }
  };
  const unwatch = watchCertificates(tls, () => void renew());
  return async () => unwatch();
}

async function serveManagement(
  options: BrokerServerOptions,
  status: BrokerStatus,
  access: BrokerAccess,
): Promise<NestFastifyApplication> {
  const { host, managementPort: port } = options.settings;
  const { logger } = options;
  const app = await NestFactory.create<NestFastifyApplication>(
    ManagementModule.register(status, access),
    // Names in a path: 255 bytes, each written %XX.
    new FastifyAdapter({ routerOptions: { maxParamLength: 3 * 255, ignoreTrailingSlash: true } }),
    { logger: new NestLogger(logger), abortOnError: false, bodyParser: false },
  );
  const server = app.getHttpAdapter().getInstance();
  readBodiesAsJson(server);
  app.useGlobalFilters(new UnknownPageFilter(gatherPageMethods(server)));
  await app.listen(port, host).catch(async (error) => {
    await app.close();
    throw listenError(error, { what: 'broker management', host, port, variable: 'TOCSIN_MANAGEMENT_PORT' });
  });
  return app;
}

function portOf(app: NestFastifyApplication): number {
  const address = app.getHttpServer().address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
