import { ObjectStatus } from '../proto/gen/headgate/v1/configured.ts';
import type { Compiler } from './compile/compiler.ts';
import { policyStatuses } from './compile/policy/statuses.ts';
import { HUB } from './compile/standing/standings.ts';
import type { ObjectStatus as Finding } from './compile/types.ts';
import type { Fleet } from './fleet/fleet.ts';
import type { FleetState } from './fleet/state.ts';
import type { HubView, Presence } from './view.ts';

/** The read side over a running fleet. */
export function liveView(fleet: Fleet, compiler: Compiler, presence: Presence): HubView {
  const compiled = (host: string) => compiler.get(host);
  // A function of the state, asked for by every list: worked out once per state.
  let known: { readonly state: FleetState; readonly statuses: readonly Finding[] } | undefined;
  return {
    state: () => fleet.state(),
    hosts: () => compiler.hosts(),
    compiled,
    policyStatuses: () => {
      const state = fleet.state();
      if (known?.state !== state) known = { state, statuses: policyStatuses(state, compiled) };
      return known.statuses;
    },
    standing: (policy) => {
      const status = compiler.status(HUB, policy);
      return status === undefined ? undefined : ObjectStatus.decode(status.body);
    },
    presence,
  };
}
