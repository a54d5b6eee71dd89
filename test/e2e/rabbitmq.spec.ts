import { afterAll, beforeAll, describe } from '@jest/globals';
import { hasDebianFile, type RabbitmqServer, startRabbitmq } from '#testing';
import { type Place, tellAll } from './stories.js';

const describeWithRabbitmq = hasDebianFile('/usr/lib/rabbitmq/bin/rabbitmq-server', 'rabbitmq-server')
  ? describe
  : describe.skip;

// One server for all stories: each leaves its queues empty, and each has a database of its own.
describeWithRabbitmq('the service on RabbitMQ and SQLite', () => {
  const place: Place = { environment: {} };
  let rabbitmq: RabbitmqServer;

  beforeAll(async () => {
    rabbitmq = (await startRabbitmq())!;
    place.environment['BROKER_URL'] = rabbitmq.url;
  }, 120_000);
  afterAll(() => rabbitmq?.stop());

  tellAll(place);
});
