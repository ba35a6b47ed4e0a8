import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';

/** Something that answers HTTP from an address of its own, as a pod does. */
export interface Answering extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
}

/**
 * Answers every request from `address` with `name` and a line feed, or as `respond` does.
 * @throws when the address is not local: run it by script/in-pod-network.
 */
export async function answerAs(
  name: string,
  address: string,
  port: number,
  respond: RequestListener = (_request, response) => response.end(`${name}\n`),
): Promise<Answering> {
  const server = createServer(respond);
  server.listen(port, address);
  try {
    await once(server, 'listening');
  } catch (cause) {
    if (!isCode(cause, 'EADDRNOTAVAIL')) throw cause;
    throw new Error(`${address} is not local here: run this by script/in-pod-network`, { cause });
  }
  return {
    address,
    port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** As many as the range has, less its first and last. */
const ADDRESSES = 65_534;
let last = 0;

/** The next of 10.244.0.0/16; none comes twice in one process before all have come. */
export function nextPodAddress(): string {
  last = (last % ADDRESSES) + 1;
  return `10.244.${last >> 8}.${last & 255}`;
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
