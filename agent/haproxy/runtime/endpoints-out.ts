import type { EndpointsOut } from '../data-plane.ts';
import type { Slot } from '../model/desired.ts';
import { backendOfKey } from '../model/profile.ts';
import type { Observed } from './observe.ts';

/**
 * Backends of which HAProxy has taken endpoints out, by name. Routes that treat a backend differently have slots of
 * their own: the one that is worst off is told. Endpoints that are on their way out do not count.
 */
export function endpointsOut(slots: readonly Slot[], servers: Observed['servers']): ReadonlyMap<string, EndpointsOut> {
  const out = new Map<string, EndpointsOut>();
  for (const { name, backend: key, servers: wanted } of slots) {
    if (key === undefined) continue;
    const backend = backendOfKey(key);
    const ready = [...wanted.values()].filter(({ state }) => state === 'ready');
    const live = ready.filter((server) => servers.get(name)?.get(server.name)?.down !== true).length;
    if (live === ready.length || live >= (out.get(backend)?.live ?? Infinity)) continue;
    out.set(backend, { backend, live, total: ready.length });
  }
  return out;
}
