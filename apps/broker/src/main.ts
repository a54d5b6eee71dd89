import 'reflect-metadata';
import { parseEnvironment, urlHost } from '#config';
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
    service?.reportReady(broker.amqpPort, broker.managementPort);
  } catch (error) {
    await service?.reportFailed((error as Error).message);
    throw error;
  }
}

async function listen(life: ProcessLife): Promise<BrokerServer> {
  const isAlone = service === undefined;
  const { values, warnings } = parseEnvironment(process.env);
  const logger = createLogger({ name: 'broker', level: values.TOCSIN_LOG_LEVEL });
  if (isAlone) for (const warning of warnings) logger.warn(warning);
  const broker = await startBrokerServer({
    host: values.TOCSIN_HOST,
    amqpPort: values.TOCSIN_AMQP_PORT,
    managementPort: values.TOCSIN_MANAGEMENT_PORT,
    dataDirectory: values.TOCSIN_DATA_DIR,
    serviceAccount: service?.account,
    logger,
    onFailed: (error) => life.end(1, `the broker's log failed: ${error.message}; free the disk and start again`),
  });
  if (isAlone) {
    const host = urlHost(values.TOCSIN_HOST);
    life.announceReady('broker', {
      amqp: `amqp://${host}:${broker.amqpPort}`,
      management: `http://${host}:${broker.managementPort}`,
    });
  }
  return broker;
}
