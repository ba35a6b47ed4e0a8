import type { TrafficPolicySpec } from '../../lib/policy/schemas.ts';
import type { FleetIndex } from './fleet-index.ts';
import type { CommittedPolicy, FleetState } from './state.ts';

/** A TrafficPolicy, at the hub or in a member, that was written or is gone. */
export interface PolicyStep {
  readonly previous: CommittedPolicy<TrafficPolicySpec> | undefined;
  readonly next: CommittedPolicy<TrafficPolicySpec> | undefined;
}

/** One coalesced step of the fleet's state. */
export interface FleetChange {
  readonly state: FleetState;
  readonly index: FleetIndex;
  /** The state before; undefined with the first one after load, which touches every host. */
  readonly previous: FleetState | undefined;
  /** Every host whose compiled result may differ. */
  readonly touchedHosts: ReadonlySet<string>;
  /** Members, Cluster objects, nodes or staleness changed: peers may differ. */
  readonly clustersTouched: boolean;
  /** Whatever is compiled may differ, policies included: the first change, members, labels, grants, fleet-level policies. */
  readonly everything: boolean;
  readonly policies: readonly PolicyStep[];
  /** `<namespace>/<name>` of Ingresses that came to be or went in some cluster. */
  readonly ingresses: ReadonlySet<string>;
  readonly revision: bigint;
}

/** Called once per batch, in order, never re-entered. Must not throw. */
export type FleetSubscriber = (change: FleetChange) => void;
