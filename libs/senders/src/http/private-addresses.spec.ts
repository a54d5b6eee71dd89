import { describe, expect, it } from '@jest/globals';
import { isPublicAddress } from './private-addresses.js';

describe('isPublicAddress', () => {
  it.each(['1.1.1.1', '172.15.255.255', '172.32.0.1', '100.63.0.1', '223.255.255.255', '2606:4700::1111', '2a00::1'])(
    '%s may be connected to',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.8.8.8', '169.254.169.254', '172.16.0.1', '172.31.255.255'],
    ...['192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', '::ffff:8.8.8.8', '::127.0.0.1'],
    ...['64:ff9b::a00:1', '2002:a00:1::', 'fd00::1', 'fe80::1', 'ff02::1', '2001:db8::1', 'no address'],
  ])('%s may not', (address) => expect(isPublicAddress(address)).toBe(false));
});
