import type { KubernetesClient } from '../lib/kubernetes/index.ts';
import { Audit } from './api/audit.ts';
import { PolicyWriter } from './api/write/policy-writer.ts';
import type { HubCore } from './core.ts';
import { runOwnership } from './ingest/ownership/ownership.ts';
import { runHubResources } from './kubernetes/run-hub-resources.ts';
import { runElected } from './store/election.ts';
import { keys } from './store/keys.ts';

/**
 * What one hub does for all replicas, while it is the leader: hands hosts on, drops old audit records, and follows
 * the custom resources of the hub's cluster. It writes by the fenced store alone.
 *
 * @param cluster whose custom resources are policies; none where undefined.
 */
export async function runLeading(
  { store, authority, fleet, view, clock, log }: HubCore,
  cluster: KubernetesClient | undefined,
  signal: AbortSignal,
): Promise<void> {
  const election = { store, clock, log, key: keys.leader, candidate: authority.hubId };
  await runElected(
    election,
    async (own, term) => {
      const failed = new AbortController();
      const working = AbortSignal.any([term, failed.signal]);
      const audit = new Audit(own, clock, log);
      const work = [
        runOwnership({ store: own, fleet, clock, log }, working),
        audit.prune(),
        ...(cluster === undefined
          ? []
          : [
              runHubResources(
                cluster,
                { store: own, fleet, view, writer: new PolicyWriter(own, audit), clock, log },
                working,
              ),
            ]),
      ];
      try {
        await Promise.all(work);
      } finally {
        failed.abort();
        await Promise.allSettled(work);
      }
    },
    signal,
  );
}
