import { formatAddress, parseAddress } from '../../../lib/config/address.ts';
import type { Address } from '../../../lib/config/address.ts';
import { probeAddress } from '../../../lib/config/listen.ts';
import type { Listeners } from '../data-plane.ts';

const names = ['http', 'https', 'gateway'] as const;
type Addresses = Readonly<Record<(typeof names)[number], string>>;

/**
 * Puts a real port in place of each port 0: the one of before, where the address is otherwise the same and our
 * HAProxy still has it or nobody does; else a free one.
 *
 * @param running whether the HAProxy of before still runs.
 * @throws HG2002 where an address is taken that a running HAProxy would have to move to.
 */
export async function realListeners(
  asked: Listeners,
  before: Addresses | undefined,
  running: boolean,
): Promise<Listeners> {
  const real: Record<string, string> = {};
  for (const name of names) {
    const address = parseAddress(asked[name], `the ${name} listener`);
    const known = before === undefined ? undefined : parseAddress(before[name]);
    const usable = known?.host === address.host && (running || (await isFree(known)));
    const port = address.port !== 0 ? address.port : usable ? known.port : (await probe(address, name)).port;
    real[name] = formatAddress({ host: address.host, port });
    // A running HAProxy is to move there: better refused now, with its files as they were, than by its reload.
    if (running && before !== undefined && address.port !== 0 && real[name] !== before[name]) {
      await probe(address, name);
    }
  }
  return { ...asked, ...real };
}

async function isFree(address: Address): Promise<boolean> {
  return await probe(address, 'remembered').then(
    () => true,
    () => false,
  );
}

/**
 * Makes sure that nobody listens there. HAProxy would not notice: it shares a port with any other process of its
 * user that also asks to share it.
 *
 * @throws HG2002
 */
export async function checkFree(listeners: Listeners): Promise<void> {
  for (const name of names) await probe(parseAddress(listeners[name]), name);
}

async function probe(address: Address, name: string): Promise<Address> {
  return await probeAddress(address, `the ${name} listener`);
}
