import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { HeadgateError } from '../errors.ts';
import { type Address, boundAddress, formatAddress } from './address.ts';

/**
 * Starts listening and gives the address with the real port.
 * @throws HeadgateError HG2002 when the address is taken, not ours or not allowed
 */
export async function listen(server: Server, address: Address, what: string, backlog?: number): Promise<Address> {
  server.listen({ host: address.host, port: address.port, ...(backlog === undefined ? {} : { backlog }) });
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new HeadgateError('HG2002', `cannot listen on ${formatAddress(address)} for ${what}: ${reason(code)}`, {
      remedy: 'stop what holds the port, or give another address',
      cause: error,
    });
  }
  return boundAddress(server.address(), address);
}

/**
 * Makes sure that nobody listens there now.
 * @throws HeadgateError HG2002
 */
export async function assertFree(address: Address, what: string): Promise<void> {
  await probeAddress(address, what);
}

/** Listens for a moment. @returns the address, with a port that was free where 0 was asked. */
export async function probeAddress(address: Address, what: string): Promise<Address> {
  const server = createServer();
  const bound = await listen(server, address, what);
  server.close();
  await once(server, 'close');
  return bound;
}

function reason(code: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'the port is taken';
    case 'EACCES':
      return 'not permitted';
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return 'this machine has no such address';
    default:
      return code;
  }
}
