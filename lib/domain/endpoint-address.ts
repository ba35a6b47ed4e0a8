import { BlockList, isIPv6 } from 'node:net';

// What the API server refuses in EndpointSlices (ValidateEndpointIP), but for loopback, which a folder may use.
// IPv4 addresses written as IPv6 ones are looked at as what they mean.
const forbidden = new BlockList();
// On Linux a connection to an unspecified address reaches the machine itself.
forbidden.addSubnet('0.0.0.0', 8, 'ipv4');
// Link-local: among them the metadata servers of clouds, which hand out credentials.
forbidden.addSubnet('169.254.0.0', 16, 'ipv4');
forbidden.addSubnet('224.0.0.0', 4, 'ipv4');
forbidden.addAddress('255.255.255.255', 'ipv4');
forbidden.addAddress('::', 'ipv6');
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addSubnet('ff00::', 8, 'ipv6');
// The same service by IPv6.
forbidden.addAddress('fd00:ec2::254', 'ipv6');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** @returns why no endpoint may have this IPv4 or IPv6 address, wherever it comes from. */
export function forbiddenAddress(address: string): string | undefined {
  return forbidden.check(address, familyOf(address)) ? 'is unspecified, link-local or multicast' : undefined;
}

export function isLoopback(address: string): boolean {
  return loopback.check(address, familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}
