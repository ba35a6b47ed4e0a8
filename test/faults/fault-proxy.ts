import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAddress, formatAddress } from '../../lib/config/address.ts';

/** What the proxy does to bytes, both ways. */
export interface LinkFaults {
  /** Milliseconds that every piece waits. */
  delayMs: number;
  /** Swallow everything silently, as a half-open link does: no reset, no end. */
  halfOpen: boolean;
  /** Bytes per second that are read from either side; 0 for as fast as they come. */
  bytesPerSecond: number;
}

/** A TCP proxy in front of one address that spoils what passes. Change `faults` at any time. */
export interface FaultProxy extends AsyncDisposable {
  /** HOST:PORT to dial in place of the target. */
  readonly address: string;
  readonly faults: LinkFaults;
  /** Resets every connection that stands. */
  cut(): void;
  /** Connections accepted so far. */
  readonly accepted: number;
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { host, port } = parseAddress(target);
  const faults: LinkFaults = { delayMs: 0, halfOpen: false, bytesPerSecond: 0 };
  const sockets = new Set<Socket>();
  let accepted = 0;

  const carry = async (from: Socket, to: Socket): Promise<void> => {
    try {
      for await (const piece of from) {
        const bytes = piece as Buffer;
        if (faults.halfOpen) continue;
        if (faults.delayMs > 0) await sleep(faults.delayMs);
        if (faults.bytesPerSecond > 0) await sleep((bytes.length / faults.bytesPerSecond) * 1_000);
        if (!faults.halfOpen && !to.write(bytes)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
      }
      if (!faults.halfOpen) to.end();
    } catch {
      if (!faults.halfOpen) to.resetAndDestroy();
    }
  };

  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    accepted++;
    const far = connect({ host, port, noDelay: true, allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    }
    void Promise.all([carry(near, far), carry(far, near)]);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the proxy is bound to no port');

  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    address: formatAddress({ host: '127.0.0.1', port: bound.port }),
    faults,
    cut,
    get accepted() {
      return accepted;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}
