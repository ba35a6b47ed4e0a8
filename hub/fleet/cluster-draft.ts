import { type MapDraft, ShardedMap } from './sharded-map.ts';
import type { ClusterState } from './state.ts';

type MapFields = Omit<ClusterState, 'name' | 'info'>;
type Drafts = { [F in keyof MapFields]: MapDraft<MapFields[F] extends ReadonlyMap<string, infer V> ? V : never> };

/** A batch of changes to what one cluster reports. */
export class ClusterDraft {
  readonly #name: string;
  readonly maps: Drafts;
  info: ClusterState['info'];

  constructor(name: string, base: ClusterState | undefined) {
    this.#name = name;
    this.info = base?.info;
    this.maps = {
      ingresses: edit(base?.ingresses),
      services: edit(base?.services),
      policies: edit(base?.policies),
      nodes: edit(base?.nodes),
      certificates: edit(base?.certificates),
      problems: edit(base?.problems),
      verdicts: edit(base?.verdicts),
      health: edit(base?.health),
      splits: edit(base?.splits),
    };
  }

  /** undefined where nothing is reported any more. */
  done(): ClusterState | undefined {
    const { maps } = this;
    if (this.info === undefined && Object.values(maps).every((map) => map.size === 0)) return undefined;
    return {
      name: this.#name,
      info: this.info,
      ingresses: maps.ingresses.done(),
      services: maps.services.done(),
      policies: maps.policies.done(),
      nodes: maps.nodes.done(),
      certificates: maps.certificates.done(),
      problems: maps.problems.done(),
      verdicts: maps.verdicts.done(),
      health: maps.health.done(),
      splits: maps.splits.done(),
    };
  }
}

export function edit<V>(base: ReadonlyMap<string, V> | undefined): MapDraft<V> {
  return (base instanceof ShardedMap ? (base as ShardedMap<V>) : ShardedMap.of(base ?? [])).edit();
}
