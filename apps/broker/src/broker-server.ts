import { join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Broker, type Engine, GUEST, openEngine, StaticUsers } from '#broker';
import { listenError } from '#config';
import { type Logger, NestLogger } from '#telemetry';
import { AlarmWatch, resourcesOf } from './alarms.js';
import { lockDataFolder } from './data-folder-lock.js';
import type { BrokerStatus } from './management/broker-status.js';
import { ManagementModule } from './management/management.module.js';
import { statusOf } from './status.js';

export interface BrokerServerOptions {
  host: string;
  amqpPort: number;
  managementPort: number;
  dataDirectory: string;
  /** The account of the service that started this broker, not limited to loopback. */
  serviceAccount: { user: string; password: string } | undefined;
  logger: Logger;
  /** The log failed: nothing is confirmed any more, and only a new start reads what the disk really holds. */
  onFailed(error: Error): void;
}

/** A running broker: data folder locked, log open, AMQP and management listening. The caller closes it. */
export interface BrokerServer {
  amqpPort: number;
  managementPort: number;
  /** In the reverse order of the start: clients are told, the log is synced, the folder let go. */
  close(): Promise<void>;
}

/** @throws Error with one sentence: data folder in use, a port taken, the log unreadable */
export async function startBrokerServer(options: BrokerServerOptions): Promise<BrokerServer> {
  const undo: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const lock = await lockDataFolder(options.dataDirectory);
    undo.push(() => lock.release());
    const engine = await openEngine({
      directory: join(options.dataDirectory, 'broker'),
      log: (text) => options.logger.warn(text),
    });
    undo.push(() => engine.close());
    engine.onFailed(options.onFailed);

    const users = usersFor(options.serviceAccount);
    const broker = await listen(options, engine, users);
    undo.push(() => broker.close());
    const alarms = new AlarmWatch(resourcesOf(options.dataDirectory), broker, (text) => options.logger.warn(text));
    alarms.start();
    undo.push(async () => alarms.stop());
    const management = await serveManagement(options, statusOf(engine, broker, users));
    undo.push(() => management.close());
    return { amqpPort: broker.port, managementPort: portOf(management), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function usersFor(account: BrokerServerOptions['serviceAccount']): StaticUsers {
  if (account === undefined) return new StaticUsers(GUEST);
  return new StaticUsers({ ...GUEST, [account.user]: { password: account.password } });
}

async function listen(options: BrokerServerOptions, engine: Engine, users: StaticUsers): Promise<Broker> {
  const { host, amqpPort: port, logger } = options;
  const broker = new Broker({
    host,
    port,
    virtualHosts: engine,
    durability: engine.durability,
    users,
    log: logger,
  });
  await broker.listen().catch((error) => {
    throw listenError(error, { what: 'AMQP', host, port, variable: 'TOCSIN_AMQP_PORT' });
  });
  return broker;
}

async function serveManagement(options: BrokerServerOptions, status: BrokerStatus): Promise<NestFastifyApplication> {
  const { host, managementPort: port, logger } = options;
  const app = await NestFactory.create<NestFastifyApplication>(
    ManagementModule.register(status),
    new FastifyAdapter(),
    { logger: new NestLogger(logger), abortOnError: false },
  );
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
