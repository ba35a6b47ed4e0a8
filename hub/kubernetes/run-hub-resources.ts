import type { Clock } from '../../lib/clock.ts';
import type { KubernetesClient } from '../../lib/kubernetes/index.ts';
import type { Log } from '../../lib/log.ts';
import type { ObjectRef } from '../../lib/manifest/manifest.ts';
import type { PolicyWriter } from '../api/write/policy-writer.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Store } from '../store/store.ts';
import type { HubView } from '../view.ts';
import { HubResources } from './hub-resources.ts';
import type { FleetStanding } from '../../lib/policy/custom-resources/resource-status.ts';

export interface HubCluster {
  /** Without it the cluster that the hub runs in, then KUBECONFIG. */
  readonly kubeconfig: string | undefined;
}

export interface HubAround {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly view: HubView;
  readonly writer: PolicyWriter;
  readonly clock: Clock;
  readonly log: Log;
}

/** Follows Headgate's kinds in the hub's own cluster until the signal aborts. */
export async function runHubResources(client: KubernetesClient, around: HubAround, signal: AbortSignal): Promise<void> {
  const { store, fleet, view, writer, clock, log } = around;
  const resources = new HubResources({
    client,
    store,
    writer,
    reached: async (revision) => await fleet.reached(revision),
    standing: (ref) => standingOf(view, ref),
    onChange: (listener) => fleet.subscribe(listener),
    clock,
    log,
  });
  await resources.run(signal);
}

function standingOf(view: HubView, ref: ObjectRef): FleetStanding {
  if (ref.kind === 'TrafficPolicy') return view.standing(ref) ?? deleted;
  const findings = view
    .policyStatuses()
    .filter(({ cluster, kind, name }) => cluster === undefined && kind === ref.kind && name === ref.name)
    .map(({ accepted, reason, code = '', field = '', message, remedy = '' }) => {
      return { accepted, reason, code, field, message, remedy };
    });
  return { findings, fleet: '' };
}

const deleted: FleetStanding = {
  findings: [
    {
      accepted: false,
      reason: 'Overridden',
      code: '',
      field: '',
      message: 'it was deleted at the hub since its spec last changed',
      remedy: 'delete it here too, or make it anew',
    },
  ],
  fleet: '',
};
