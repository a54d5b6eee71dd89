import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Addresses that are not somebody's public server: IANA special-purpose registries (RFC 6890). */
const NOT_PUBLIC_IPV4: [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
/** Those that carry an IPv4 address (mapped, NAT64, 6to4) are refused whole: no webhook needs them. */
const NOT_PUBLIC_IPV6: [string, number][] = [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
];

// Two lists: in one, the network of mapped addresses would match every IPv4 address.
const notPublic = {
  ipv4: blockListOf(NOT_PUBLIC_IPV4, 'ipv4'),
  ipv6: blockListOf(NOT_PUBLIC_IPV6, 'ipv6'),
};

export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 0) return false;

  const family = version === 4 ? 'ipv4' : 'ipv6';
  return !notPublic[family].check(address, family);
}

function blockListOf(networks: [string, number][], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, family);
  return list;
}

/** A host that may not be connected to. */
export class PrivateAddressError extends Error {
  readonly code = 'EPRIVATEADDRESS';

  constructor(host: string) {
    super(`${host} is a private or local address; set senders.webhook.allowPrivateAddresses to allow it`);
  }
}

/**
 * Resolves as the connection will, and hands on public addresses only: what was checked is what is connected to, so a name that
 * changes its address between check and connection gains nothing. Not asked for a literal address: check that before.
 */
export const lookupPublic: LookupFunction = (host, options, done) => {
  lookup(host, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error) return done(error, '', 0);

    const allowed = addresses.filter(({ address }) => isPublicAddress(address));
    const [first] = allowed;
    if (!first) return done(new PrivateAddressError(host), '', 0);
    if (options.all) return done(null, allowed);
    done(null, first.address, first.family);
  });
};
