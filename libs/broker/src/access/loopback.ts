const IPV4_IN_IPV6 = '::ffff:';

/** 127.0.0.0/8 and ::1, also as IPv4 mapped into IPv6. */
export function isLoopback(address: string): boolean {
  const plain = address.toLowerCase().startsWith(IPV4_IN_IPV6) ? address.slice(IPV4_IN_IPV6.length) : address;
  return plain === '::1' || plain.startsWith('127.');
}
