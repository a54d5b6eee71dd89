import 'reflect-metadata';
import { parseEnvironment } from '#config';
import { createLogger, type ProcessLife, runProcess } from '#telemetry';
import { type BrokerServer, startBrokerServer } from './broker-server.js';
import { ServiceLink } from './service-link.js';

runProcess(async (life) => {
  const service = ServiceLink.ofThisProcess();
  if (service === undefined) return (await start(life, undefined)).close;

  // Heard before the start: a service that dies meanwhile must not leave us behind.
  service.onStop(() => life.end(0));
  try {
    const broker = await start(life, service);
    service.reportReady(broker.amqpPort, broker.managementPort);
    return broker.close;
  } catch (error) {
    await service.reportFailed((error as Error).message);
    throw error;
  }
});

async function start(life: ProcessLife, service: ServiceLink | undefined): Promise<BrokerServer> {
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
    const { TOCSIN_HOST: host } = values;
    life.announceReady('broker', {
      amqp: `amqp://${host}:${broker.amqpPort}`,
      management: `http://${host}:${broker.managementPort}`,
    });
  }
  return broker;
}
