import type { ResourceDelta } from '../../../lib/sync/index.ts';
import type { Change } from '../model/change.ts';
import type { Assignments, Desired } from '../model/desired.ts';

export interface PlannerOptions {
  /** Own cluster's id. */
  readonly cluster: string;
  /** Size of the pools and who had which slot: hints, honoured where the first delta asks for the same. */
  readonly assignments: Assignments;
}

/** Keeps Desired true to the resources it was given. One change costs what it changes. */
export interface Planner {
  /** A live view: it changes with the next call. */
  readonly desired: Desired;
  /**
   * Validates and takes in a delta; the first call must hold the whole inventory. A resource that is refused
   * leaves its last good version standing. To undo a resource, apply its last good version, or its removal.
   */
  apply(delta: ResourceDelta): Change;
  /** Drops lingering routes from the gateway map; those that came back meanwhile stay. */
  forget(routeIds: readonly string[]): Change;
  /** Adds at least `count` spare slots, in whole files; needs a reload. */
  grow(count: number): Change;
  assignments(): Assignments;
  sparesLeft(): number;
}

export declare function createPlanner(options: PlannerOptions): Planner;
