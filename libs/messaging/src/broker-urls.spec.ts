import { describe, expect, it } from '@jest/globals';
import { parseBrokerUrls, shownBrokerUrl } from './broker-urls.js';

describe('BROKER_URL', () => {
  it('names the nodes of a cluster, which share what the first one says', () => {
    expect(parseBrokerUrls('amqp://me:secret@a:1/ops, b:2 ,amqps://c')).toEqual([
      'amqp://me:secret@a:1/ops?heartbeat=10',
      'amqp://me:secret@b:2/ops?heartbeat=10',
      'amqps://c?heartbeat=10',
    ]);
  });

  it('keeps a heartbeat that is asked for', () => {
    expect(parseBrokerUrls('amqp://a?heartbeat=60')).toEqual(['amqp://a?heartbeat=60']);
  });

  it('is shown without passwords', () => {
    expect(shownBrokerUrl('amqp://me:secret@a,b')).toBe('amqp://me@a,amqp://me@b');
  });

  it('is refused with one sentence when it is something else', () => {
    for (const wrong of ['http://a', 'a:5672', 'amqp://', 'nonsense']) {
      expect(() => parseBrokerUrls(wrong)).toThrow('BROKER_URL must hold amqp:// or amqps:// URLs');
    }
    expect(() => parseBrokerUrls(' , ')).toThrow('BROKER_URL is empty');
  });
});
