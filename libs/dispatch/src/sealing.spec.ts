import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isSealed, openTarget, SEALED_PREFIX, SealError, sealTarget } from './sealing.js';

const key = Buffer.alloc(32, 1);
const fields = ['token', 'secret'];

describe('sealing', () => {
  it('hides the secret fields, and only those', () => {
    const sealed = sealTarget({ token: 's3cret', to: 'ops' }, fields, key);
    expect(sealed.to).toBe('ops');
    expect(isSealed(sealed.token)).toBe(true);
    expect(JSON.stringify(sealed)).not.toContain('s3cret');
    expect(sealed).not.toHaveProperty('secret');
  });

  it('opens to what was sealed, for any value', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.dictionary(fc.string(), fc.string())), (token) => {
        expect(JSON.stringify(openTarget(sealTarget({ token }, fields, key), fields, key))).toBe(
          JSON.stringify({ token }),
        );
      }),
    );
  });

  it('names the field and what to do when the key is another', () => {
    const open = () => openTarget(sealTarget({ token: 'x' }, fields, key), fields, Buffer.alloc(32, 2));
    expect(open).toThrow(SealError);
    expect(open).toThrow(/'token'.*TOCSIN_SECRET_KEY/);
  });

  it.each([SEALED_PREFIX, `${SEALED_PREFIX}AAAA`, `${SEALED_PREFIX}${'A'.repeat(60)}`])(
    'refuses the damaged value %s',
    (token) => {
      expect(() => openTarget({ token }, fields, key)).toThrow(SealError);
    },
  );

  it('does not open a value moved to another field', () => {
    const sealed = sealTarget({ token: 'x' }, fields, key);
    expect(() => openTarget({ secret: sealed.token }, fields, key)).toThrow(SealError);
  });

  it('seals what looks sealed already, so that nobody sends with a copied secret', () => {
    const copied = sealTarget({ token: 'x' }, fields, key).token;
    expect(openTarget(sealTarget({ token: copied }, fields, key), fields, key)).toEqual({ token: copied });
  });
});
