import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { hasDebianFile, type RabbitmqServer, startRabbitmq } from '#testing';
import * as stories from './stories.js';

const describeWithRabbitmq = hasDebianFile('/usr/lib/rabbitmq/bin/rabbitmq-server', 'rabbitmq-server')
  ? describe
  : describe.skip;

// One server for all stories: each leaves its queues empty, and each has a database of its own.
describeWithRabbitmq('the service on RabbitMQ and SQLite', () => {
  const place: stories.Place = { environment: {} };
  let rabbitmq: RabbitmqServer;

  beforeAll(async () => {
    rabbitmq = (await startRabbitmq())!;
    place.environment['BROKER_URL'] = rabbitmq.url;
  }, 120_000);
  afterAll(() => rabbitmq?.stop());

  it('brings an alert to an inbox and a signed robot', () => stories.alertReachesInboxAndRobot(place));
  it('loses no accepted notification when every process is killed', () =>
    stories.nothingIsLostWhenEverythingIsKilled(place));
  it('loses no alert when every process is killed inside groupWait', () =>
    stories.groupsSurviveAKillInsideGroupWait(place));
  it('keeps refused mails for review, replays them, and retries along the ladder', () =>
    stories.refusedMailsAreReviewedAndReplayed(place));
  it('digests a burst to one robot without a penalty', () => stories.aBurstToOneRobotIsDigested(place));
});
