import 'reflect-metadata';
import { type BrokerSettings, loadBrokerSettings, urlHost } from '#config';
import { createLogger, type ProcessLife, runProcess } from '#telemetry';
import { type BrokerServer, startBrokerServer } from './broker-server.js';
import { ServiceLink } from './service-link.js';

/** The broker: started by the service, or on its own with `npm run start:broker`. */
const service = ServiceLink.ofThisProcess();
// A signal to the whole group is the service's to handle: it stops us last, when all have drained into us.
runProcess(startBroker, { heedsSignals: service === undefined });

async function startBroker(life: ProcessLife): Promise<void> {
  // Heard before the start: a service that dies meanwhile must not leave us behind.
  service?.onStop(() => life.end(0));
  try {
    const broker = await listen(life);
    life.onStop(() => broker.close());
    service?.reportReady(broker);
  } catch (error) {
    await service?.reportFailed((error as Error).message);
    throw error;
  }
}

async function listen(life: ProcessLife): Promise<BrokerServer> {
  const isAlone = service === undefined;
  const { settings, warnings } = loadBrokerSettings(process.env);
  const logger = createLogger({ name: 'broker', level: settings.logLevel });
  if (isAlone) for (const warning of warnings) logger.warn(warning);
  const broker = await startBrokerServer({
    settings,
    serviceAccount: service?.account,
    logger,
    onFailed: (error) => life.end(1, `the broker's log failed: ${error.message}; look at the disk and start again`),
  });
  if (isAlone) {
    const host = urlHost(settings.host);
    life.announceReady('broker', {
      amqp: `amqp://${host}:${broker.amqpPort}`,
      ...amqpsUrl(settings, broker),
      management: `http://${host}:${broker.managementPort}`,
    });
  }
  return broker;
}

function amqpsUrl({ host, configuration }: BrokerSettings, { amqpsPort }: BrokerServer): Record<string, string> {
  if (amqpsPort === undefined) return {};
  return { amqps: `amqps://${urlHost(configuration.tls?.host ?? host)}:${amqpsPort}` };
}
