import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../bench/numbers.ts';
import { reloadsOf } from '../../cli/demo/measures.ts';
import { KubeFleet } from './fleet/kube-fleet.ts';
import { newIngress, untilLive } from './fleet/until-live.ts';
import { WatchFloor } from './fleet/watch-floor.ts';

export interface FastLane {
  /** Milliseconds from the API server's reply to the last of all entries. */
  readonly p50: number;
  readonly p99: number;
  /** The API server's own, to a plain watch. */
  readonly floor: { readonly p50: number; readonly p99: number };
  /** Of all HAProxies, while Ingresses were written. */
  readonly reloads: number;
}

/** Of the clusters, by name; each write goes to the next. */
const CLUSTERS = ['eu', 'us', 'ap'];

/** New Ingresses in a fleet of three API servers with so many routes each, until all three entries serve them. */
export async function fastLane(routes: number, writes: number): Promise<FastLane> {
  await using fleet = await KubeFleet.start({ clusters: CLUSTERS, routes });
  await using stack = new AsyncDisposableStack();
  const floors: WatchFloor[] = [];
  for (const name of CLUSTERS) {
    const kinds = [{ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' }];
    floors.push(stack.use(await WatchFloor.start(fleet.cluster(name).api, kinds)));
  }
  const reloads = async (): Promise<number> => {
    const counts = CLUSTERS.map(async (name) => await reloadsOf(fleet.processes.cluster(name).data));
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };
  const before = await reloads();
  const live: number[] = [];
  const floor: number[] = [];
  for (let i = 0; i < writes; i++) {
    const at = i % CLUSTERS.length;
    const [home, watch] = [CLUSTERS[at], floors[at]];
    if (home === undefined || watch === undefined) throw new RangeError('no cluster');
    const seen = await untilLive(watch, newIngress(fleet, home, `new-${i}`));
    live.push(seen.all);
    floor.push(seen.floor);
    // Not in step with any timer of the fleet.
    await sleep(50 + ((i * 37) % 100));
  }
  return {
    p50: percentile(live, 0.5),
    p99: percentile(live, 0.99),
    floor: { p50: percentile(floor, 0.5), p99: percentile(floor, 0.99) },
    reloads: (await reloads()) - before,
  };
}
