import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createLogger, Metrics } from '#telemetry';
import { aDeadLetter, FakeMessaging, FakeReview, someSettings } from '../api.fixture.js';
import { Intake } from '../intake/intake.js';
import { Replay } from './replay.js';

describe('a replay whose end the database does not take', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it.each([
    ['was published', 'confirmed', 'replayed'],
    ['was not published', 'blocked', 'open'],
  ] as const)('goes on until it does, when it %s', async (_what, answer, status) => {
    const messaging = new FakeMessaging();
    const review = new FakeReview();
    const metrics = new Metrics({ withProcess: false });
    const logger = createLogger({ name: 'api', level: 'silent' });
    const replay = new Replay(new Intake({ messaging, metrics }), {
      review,
      settings: someSettings(),
      logger,
      metrics,
    });
    const letter = aDeadLetter({ id: 'a' });
    review.letters.set('a', letter);
    messaging.answer = answer;
    const ended = jest.spyOn(review, 'endReplay').mockRejectedValueOnce(new Error('away'));

    expect(await replay.replay('a', 'admin')).toEqual({ result: 'replaying' });
    expect(letter.status).toBe('replaying');

    review.unfinished = [{ letter, attempt: 2 }];
    await jest.advanceTimersByTimeAsync(5_000);
    expect(ended).toHaveBeenCalledTimes(2);
    expect(letter.status).toBe(status);
    replay.close();
  });
});
