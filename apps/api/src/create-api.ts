import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { listenError } from '#config';
import { NestLogger } from '#telemetry';
import { authenticate } from './access/authentication.js';
import { Credentials } from './access/credentials.js';
import { AlertmanagerIntake } from './alertmanager/alertmanager-intake.js';
import { ApiModule } from './api.module.js';
import type { ApiParts } from './api-parts.js';
import { BODY_BYTES_MAX, parseJson, useJsonBodies } from './body/json-body.js';
import { ExpressLane } from './intake/express-lane.js';
import { Load } from './intake/load.js';
import { measureRequests } from './operations/request-metrics.js';
import { ProblemFilter } from './problem/problem.filter.js';
import { RouteTable } from './problem/route-table.js';

/** A client that sends its request slower than this is cut off. */
const REQUEST_MS = 60_000;
const CLOSE_MS = 8_000;

/** A running api. `close` stops taking requests, finishes those under way (at most 8 s), and may be called twice. */
export interface RunningApi {
  url: string;
  close(): Promise<void>;
}

/** Builds the api and listens on `settings.host:httpPort`. @throws Error, one sentence with what to do, when it cannot listen */
export async function createApi(parts: ApiParts): Promise<RunningApi> {
  const app = await buildApi(parts);
  const { host, httpPort } = parts.settings;
  try {
    // Not Nest's listen, which logs the failure before we can say it in one sentence.
    await app.getHttpAdapter().getInstance().listen({ port: httpPort, host });
  } catch (error) {
    await app.close();
    throw listenError(error as NodeJS.ErrnoException, {
      what: 'HTTP',
      host,
      port: httpPort,
      variable: 'TOCSIN_HTTP_PORT',
    });
  }
  const { port } = app.getHttpServer().address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close: () => {
      closing ??= closeApi(app);
      return closing;
    },
  };
}

/** The application, ready for `listen` or `inject`. */
export async function buildApi(parts: ApiParts): Promise<NestFastifyApplication> {
  const routes = new RouteTable();
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
  });
  const server: FastifyInstance = adapter.getInstance();
  routes.watch(server);
  measureRequests(server, parts.metrics);
  const credentials = new Credentials(parts.settings);
  authenticate(server, credentials);

  const app = await NestFactory.create<NestFastifyApplication>(ApiModule.register(parts), adapter, {
    logger: new NestLogger(parts.logger),
    bodyParser: false,
    abortOnError: false,
  });
  useJsonBodies(server);
  app.get(Load).guard(server);
  openExpressLane(app, credentials, parts);
  app.useGlobalFilters(new ProblemFilter(routes, parts.logger));
  parts.health.addReady('broker', () => {
    if (!parts.messaging.isConnected) throw new Error('not connected');
    if (parts.messaging.isBlocked) throw new Error('the broker takes no messages now');
  });
  await app.init();
  await server.ready();
  return app;
}

function openExpressLane(app: NestFastifyApplication, credentials: Credentials, parts: ApiParts): void {
  const alertmanager = app.get(AlertmanagerIntake);
  const lane = new ExpressLane(
    { '/api/v2/alerts': (body) => alertmanager.accept(parseJson(body), body) },
    { ...parts, credentials, load: app.get(Load) },
  );
  lane.join(app.getHttpServer());
  const server: FastifyInstance = app.getHttpAdapter().getInstance();
  server.addHook('preClose', async () => lane.close());
}

async function closeApi(app: NestFastifyApplication): Promise<void> {
  const cut = setTimeout(() => app.getHttpServer().closeAllConnections(), CLOSE_MS);
  await app.close().finally(() => clearTimeout(cut));
}
