import { describe, it } from '@jest/globals';
import * as stories from './stories.js';

describe('the service on its own broker and SQLite', () => {
  const place = { environment: {} };

  it('brings an alert to an inbox and a signed robot', () => stories.alertReachesInboxAndRobot(place));
  it('loses no accepted notification when every process is killed', () =>
    stories.nothingIsLostWhenEverythingIsKilled(place));
  it('loses no alert when every process is killed inside groupWait', () =>
    stories.groupsSurviveAKillInsideGroupWait(place));
  it('keeps refused mails for review, replays them, and retries along the ladder', () =>
    stories.refusedMailsAreReviewedAndReplayed(place));
  it('digests a burst to one robot without a penalty', () => stories.aBurstToOneRobotIsDigested(place));
});
