import type { FleetIndex } from './fleet-index.ts';
import type { FleetState } from './state.ts';

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
  readonly revision: bigint;
}

/** Called once per batch, in order, never re-entered. Must not throw. */
export type FleetSubscriber = (change: FleetChange) => void;
