import { firstSeen } from '../../bench/fleet/poller.ts';
import type { KubeObject } from '../ground/kube-api.ts';
import { openHost, openIngress, SHARED, type KubeFleet } from './kube-fleet.ts';
import type { WatchFloor } from './watch-floor.ts';

/** What the API server answered to a write, and when, on the clock of `performance.now`. */
export interface Written {
  readonly object: KubeObject;
  readonly at: number;
}

/** Milliseconds from the API server's reply. */
export interface Live {
  /** By cluster, until its entry shows it; 0 where it did before the reply. */
  readonly entries: ReadonlyMap<string, number>;
  /** Until the last of them does. */
  readonly all: number;
  /** Until a plain watch has the event. */
  readonly floor: number;
}

export interface KubeChange {
  readonly write: () => Promise<Written>;
  /** Whether a cluster's entry shows it. */
  readonly look: (cluster: string) => Promise<boolean>;
  /** Entries that are looked at. */
  readonly clusters: readonly string[];
  readonly what: string;
}

/** Makes a change, looking at the entries since before it. */
export async function untilLive(floor: WatchFloor, { write, look, clusters, what }: KubeChange): Promise<Live> {
  const looks = clusters.map(async (cluster) => {
    const seen = await firstSeen(async () => await look(cluster), `${what} at ${cluster}`);
    return [cluster, seen] as const;
  });
  const [{ object, at }, seen] = await Promise.all([write(), Promise.all(looks)]);
  const entries = new Map(seen.map(([cluster, when]) => [cluster, Math.max(0, when - at)]));
  return { entries, all: Math.max(...entries.values()), floor: await floor.of(object, at) };
}

/** Resolves with the object as the API server answered it. */
export async function written(answer: Promise<KubeObject>): Promise<Written> {
  const object = await answer;
  return { object, at: performance.now() };
}

/**
 * A new Ingress in one cluster, with a host of its own that every cluster serves.
 * @param home where it is written
 * @param create writes it; by the API server's JSON interface where absent
 */
export function newIngress(
  fleet: KubeFleet,
  home: string,
  name: string,
  create = async (object: KubeObject): Promise<Written> => await written(fleet.cluster(home).api.create(object)),
): KubeChange {
  return {
    write: async () => await create(openIngress(name, SHARED)),
    look: async (cluster) => (await fleet.connection(cluster).get(openHost(name), '/')).status === 200,
    clusters: fleet.clusters,
    what: `Ingress ${name}`,
  };
}
