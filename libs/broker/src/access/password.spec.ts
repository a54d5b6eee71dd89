import { describe, expect, it } from '@jest/globals';
import { hashPassword, isPassword, isSameText } from './password.js';

describe('a password hash', () => {
  it("is RabbitMQ's: made by rabbitmqctl hash_password of 3.10.8", () => {
    const hash = 'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR';
    expect(isPassword('test12', hash, 'rabbit_password_hashing_sha256')).toBe(true);
    expect(isPassword('test13', hash, 'rabbit_password_hashing_sha256')).toBe(false);
    expect(isPassword('test12', hash, 'rabbit_password_hashing_sha512')).toBe(false);
  });

  it('has a salt, so that equal passwords look different', () => {
    for (const algorithm of ['rabbit_password_hashing_sha256', 'rabbit_password_hashing_sha512'] as const) {
      const [one, other] = [hashPassword('päss', algorithm), hashPassword('päss', algorithm)];
      expect(one).not.toBe(other);
      expect(isPassword('päss', one, algorithm) && isPassword('päss', other, algorithm)).toBe(true);
    }
  });

  it('that is empty, cut or of an empty password lets nobody in', () => {
    const algorithm = 'rabbit_password_hashing_sha256';
    for (const hash of ['', 'AAAA', hashPassword('a').slice(0, 20)])
      expect(isPassword('a', hash, algorithm)).toBe(false);
    expect(isPassword('', hashPassword(''), algorithm)).toBe(false);
  });
});

it('texts are compared whole', () => {
  expect(isSameText('a', 'a')).toBe(true);
  expect(isSameText('a', 'aa')).toBe(false);
});
