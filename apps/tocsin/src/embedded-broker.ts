import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Settings, urlHost } from '#config';
import type { Logger, ProcessLife } from '#telemetry';
import { BrokerProcess } from './broker-process.js';

const BROKER_SCRIPT = join(import.meta.dirname, '../../broker/src/main.js');
/** The service's own account; `guest` may enter from loopback only, and TOCSIN_HOST may be another address. */
const SERVICE_USER = 'tocsin';

export interface RunningBroker {
  /** For the service, with its account. */
  url: string;
  /** For people: no password. */
  shownUrls: Record<string, string>;
  stop(): Promise<void>;
}

/** Starts the broker as a process of its own. @throws Error with one sentence when it cannot start */
export async function startEmbeddedBroker(
  settings: Settings,
  environment: NodeJS.ProcessEnv,
  life: ProcessLife,
  logger: Logger,
): Promise<RunningBroker> {
  const password = randomBytes(24).toString('base64url');
  const broker = new BrokerProcess({
    script: BROKER_SCRIPT,
    environment: { ...environment, BROKER_SERVICE_ACCOUNT: `${SERVICE_USER}:${password}` },
    onRestart: (sentence) => logger.error(sentence),
    onGivenUp: (sentence) => life.end(1, `${sentence}; the service ends, see its log above`),
  });
  const { amqpPort, amqpsPort, managementPort } = await broker.start();
  const host = urlHost(settings.host);
  return {
    url: `amqp://${SERVICE_USER}:${password}@${host}:${amqpPort}`,
    shownUrls: {
      amqp: `amqp://${host}:${amqpPort}`,
      ...(amqpsPort !== undefined && { amqps: `amqps://${host}:${amqpsPort}` }),
      management: `http://${host}:${managementPort}`,
    },
    stop: () => broker.stop(),
  };
}
