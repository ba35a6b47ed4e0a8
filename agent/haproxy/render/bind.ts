/**
 * `bind` and what to listen on. Every IPv6 address means every IPv4 address too, on a socket of its own, so that the
 * addresses of IPv4 clients are not seen as IPv6.
 */
export function bind(address: string): string {
  const everyPort = /^\[::\]:(?<port>\d+)$/.exec(address)?.groups?.['port'];
  return everyPort === undefined ? `bind ${address}` : `bind 0.0.0.0:${everyPort},${address} v6only`;
}
