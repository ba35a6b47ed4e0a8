import type { AddressInfo } from 'node:net';
import { HeadgateError } from '../errors.ts';
import { printable } from '../printable.ts';

/** Where to listen or connect: an IP literal or host name without brackets, and a port. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT` or `:PORT` (every IPv4 address). Port 0 asks for any free one.
 * @throws HeadgateError HG2001
 */
export function parseAddress(text: string, what = 'address'): Address {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]\s/]*)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new HeadgateError('HG2001', `${what} "${printable(text.slice(0, 200))}" is not HOST:PORT`, {
      remedy: 'give for example 127.0.0.1:7443 or [::1]:7443',
    });
  }
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The address that a listening server got, in place of the port 0 that was asked for. */
export function boundAddress(bound: AddressInfo | string | null, asked: Address): Address {
  return bound === null || typeof bound === 'string' ? asked : { host: asked.host, port: bound.port };
}
