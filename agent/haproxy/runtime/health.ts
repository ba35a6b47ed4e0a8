import type { Desired, PeerSlot, Server, Slot } from '../model/desired.ts';
import { usesTls, weight } from '../render/server-line.ts';
import { linkOf } from './compare.ts';
import type { Observed } from './observe.ts';

/** Nothing is known: every server starts as one that answers. */
export const NO_HEALTH = '1\n';

/**
 * The state file (HAProxy manual, `server-state-file`, version 1) for servers that checks have failed: a worker that
 * loads it gives them nothing until a check succeeds. Only those: what the file says of a server goes before its
 * configuration, so it says of each what that says too.
 */
export function healthFile({ slots, peers }: Desired, servers: Observed['servers']): string {
  const backends: readonly (Slot | PeerSlot)[] = [...slots, ...peers];
  const lines = backends.flatMap((backend) => {
    const { name, servers: wanted } = backend;
    const tls = usesTls(linkOf(backend));
    return [...wanted.values()]
      .filter((server) => {
        const seen = servers.get(name)?.get(server.name);
        return seen?.down === true && !seen.maintenance;
      })
      .map((server) => stateLine(name, server, tls));
  });
  return NO_HEALTH + lines.map((line) => `${line}\n`).join('');
}

function stateLine(backend: string, server: Server, tls: boolean): string {
  const { name, address, port } = server;
  // Backend and server, each with an id that is not looked at; stopped (operational), ready (administrative).
  const head = `0 ${backend} 0 ${name} ${address} 0 0 ${weight(server)} ${weight(server)} 1`;
  // Check: layer-4 connection failed, failed, no successes, configured and enabled. No agent check.
  const check = '8 2 0 6 0';
  // No forced ids; no name to resolve; no SRV record; TLS; checks have no addresses of their own.
  return `${head} ${check} 0 0 - ${port} - ${tls ? 1 : 0} 0 - - 0`;
}
