import { BlockList, isIP, isIPv6 } from 'node:net';
import { isLoopback } from '../../../lib/domain/endpoint-address.ts';
import { parseAddress } from '../../../lib/config/address.ts';
import type { OwnListener } from '../plan/decode.ts';

/**
 * An endpoint that is one of the node's own listeners would send requests round for ever, or let a tenant ask
 * what is for the node alone.
 * @param listeners `host:port` by what listens there; port 0, not known yet, is none.
 * @param addresses of the machine, for listeners on all of them.
 */
export function ownListeners(listeners: ReadonlyMap<string, string>, addresses: () => Iterable<string>): OwnListener {
  const known = [...listeners].map(([name, text]) => ({ name, ...parseAddress(text, name) }));
  return (address, port) =>
    known.find((listener) => listener.port === port && reaches(address, listener.host, addresses))?.name;
}

function reaches(address: string, host: string, addresses: () => Iterable<string>): boolean {
  // "::" takes IPv4 too, unless the system says otherwise.
  if (host === '::' || (host === '0.0.0.0' && !isPlainIPv6(address))) {
    return isLoopback(address) || isOneOf(address, addresses());
  }
  if (host === 'localhost') return isOneOf(address, ['127.0.0.1', '::1']);
  return isIP(host) !== 0 && isOneOf(address, [host]);
}

/** Whatever way they are spelt. */
function isOneOf(address: string, addresses: Iterable<string>): boolean {
  const list = new BlockList();
  for (const one of addresses) if (isIP(one) !== 0) list.addAddress(one, isIPv6(one) ? 'ipv6' : 'ipv4');
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** And not an IPv4 address in its clothes. */
function isPlainIPv6(address: string): boolean {
  const mapped = new BlockList();
  mapped.addSubnet('0.0.0.0', 0, 'ipv4');
  return isIPv6(address) && !mapped.check(address, 'ipv6');
}
