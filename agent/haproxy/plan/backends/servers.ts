import { type Backend, type Endpoints, EndpointState } from '../../../../proto/gen/headgate/v1/configured.ts';
import type { Server } from '../../model/desired.ts';
import { serverName } from '../../model/names.ts';

/** HAProxy takes the lower 20 bits of a server's number for its place in a hash; 0 is none. */
const LAST_ID = 2 ** 20 - 1;

/**
 * A backend's servers from its service's slices. Ready endpoints serve. Draining ones finish what they have: they
 * are kept while they are there, never added, unless no endpoint is ready; then they serve, as Kubernetes
 * does with terminating endpoints.
 * @param held the servers that stand now.
 * @param treatment digest of the slot's settings.
 */
export function serversOf(
  backend: Pick<Backend, 'portNumber' | 'portName'>,
  slices: Iterable<Endpoints>,
  held: ReadonlyMap<string, Server>,
  treatment: string,
): Map<string, Server> {
  const ready = new Map<string, Server>();
  const draining = new Map<string, Server>();
  for (const slice of slices) {
    for (const port of slice.ports) {
      const matches =
        backend.portName === '' ? port.servicePort === backend.portNumber : port.name === backend.portName;
      if (!matches) continue;
      for (const { address, state } of slice.endpoints) {
        const into = state === EndpointState.READY ? ready : state === EndpointState.DRAINING ? draining : undefined;
        const name = serverName(address, port.targetPort, treatment);
        into?.set(name, { name, address, port: port.targetPort, state: 'ready' });
      }
    }
  }
  if (ready.size === 0) return numbered(draining, held);
  for (const [name, server] of draining) {
    if (!ready.has(name) && held.has(name)) ready.set(name, { ...server, state: 'drain' });
  }
  return numbered(ready, held);
}

/** Gives each its number; what stands keeps its own. */
function numbered(servers: ReadonlyMap<string, Server>, held: ReadonlyMap<string, Server>): Map<string, Server> {
  const taken = new Set([...held.values()].map(({ id }) => id));
  return new Map(
    [...servers].map(([name, server]) => {
      let id = held.get(name)?.id;
      if (id === undefined) {
        id = 1 + (Number.parseInt(name.slice(-8), 16) % LAST_ID);
        while (taken.has(id)) id = (id % LAST_ID) + 1;
        taken.add(id);
      }
      return [name, { ...server, id }];
    }),
  );
}
