import { describe, expect, it } from '@jest/globals';
import { listenError } from './listen-error.js';

const LISTENER = { what: 'AMQP', host: '127.0.0.1', port: 5672, variable: 'TOCSIN_AMQP_PORT' };

describe('a port that cannot be opened', () => {
  it.each([
    [
      'EADDRINUSE',
      'port 5672 for AMQP on 127.0.0.1 is taken; stop what listens there, or set TOCSIN_AMQP_PORT (0 picks a free one)',
    ],
    ['EACCES', 'port 5672 for AMQP may not be opened by this user; set TOCSIN_AMQP_PORT above 1023'],
    ['EADDRNOTAVAIL', '127.0.0.1 is no address of this machine; set TOCSIN_HOST'],
  ])('says what to do about %s', (code, sentence) => {
    const error = Object.assign(new Error('listen failed'), { code });
    expect(listenError(error, LISTENER).message).toBe(sentence);
  });

  it('passes other errors through', () => {
    const error = new Error('something else');
    expect(listenError(error, LISTENER)).toBe(error);
  });
});
