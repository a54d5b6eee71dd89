import { describe, expect, it } from '@jest/globals';
import { waitFor } from './wait-for.js';

describe('waitFor', () => {
  it('returns what the condition answers once it is truthy', async () => {
    let asked = 0;
    expect(await waitFor(() => (++asked === 3 ? 'third' : undefined), { timeoutMs: 1_000, what: 'the third' })).toBe(
      'third',
    );
  });

  it('fails with a sentence that names what was missing', async () => {
    await expect(waitFor(() => false, { timeoutMs: 20, what: () => 'a mail' })).rejects.toThrow(
      'waited 20 ms in vain for a mail',
    );
  });
});
