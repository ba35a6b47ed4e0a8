import type { ObjectStatus as Standing } from '../proto/gen/headgate/v1/configured.ts';
import type { ObjectName } from './compile/standing/encode.ts';
import type { CompiledHost, ObjectStatus } from './compile/types.ts';
import type { FleetState } from './fleet/state.ts';

/** What this replica knows of a cluster's connections; not in the store, since each replica has its own. */
export interface Presence {
  connected(cluster: string): boolean;
  /** Milliseconds since anything was heard from its agent; undefined when never since this hub started. */
  heardAgoMs(cluster: string): number | undefined;
  /** The revision that the cluster agent has acknowledged; undefined when not connected. */
  acknowledgedRevision(cluster: string): bigint | undefined;
}

/** Read side of the hub for the API: state, what it compiles to, and who is connected. */
export interface HubView {
  state(): FleetState;
  /** Every host that has a compiled result, ascending. */
  hosts(): readonly string[];
  compiled(host: string): CompiledHost | undefined;
  /** What is wrong with policy objects by themselves; the rest of their conditions is in the compiled hosts. */
  policyStatuses(): readonly ObjectStatus[];
  /** What became of a TrafficPolicy of the hub's; undefined where there is none of that name. */
  standing(policy: ObjectName): Standing | undefined;
  readonly presence: Presence;
}
