import type { Clock } from '../../../lib/clock.ts';
import type { KubernetesClient } from '../../../lib/kubernetes/index.ts';
import type { Log } from '../../../lib/log.ts';
import type { PublishOptions } from '../../options.ts';
import type { ClusterAgent } from '../cluster-agent.ts';
import { EventRecorder } from './events/event-recorder.ts';
import { TroubleEvents } from './events/trouble-events.ts';
import { PublishedAddresses } from './status/published-addresses.ts';
import type { SeenObjects } from './status/seen-objects.ts';
import { StatusWriter } from './status/status-writer.ts';
import { Troubles } from './status/troubles.ts';

export interface WriteObjectsOptions {
  readonly client: KubernetesClient;
  readonly agent: Pick<ClusterAgent, 'up' | 'statuses'>;
  readonly seen: SeenObjects;
  readonly publish: PublishOptions;
  /** This process, for Events. */
  readonly instance: string;
  readonly isHeld: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * All that is written into the cluster: statuses and Events. Resolves when the signal aborts. To be called once the source
 * has listed everything: before that no Ingress is known to be of another class.
 */
export async function writeObjects(options: WriteObjectsOptions, signal: AbortSignal): Promise<void> {
  const { client, agent, seen, publish, instance, isHeld, clock, log } = options;
  using troubles = new Troubles(agent.up, agent.statuses);
  const recorder = new EventRecorder({ client, instance, isHeld, clock, log });
  const events = new TroubleEvents(seen, troubles, recorder, clock);
  const addresses = new PublishedAddresses({ publish, client, changed: () => writer.touchAll(), clock, log });
  const writer = new StatusWriter({
    client,
    seen,
    troubles,
    statuses: agent.statuses,
    addresses,
    contested: (key) => events.contested(key),
    isHeld,
    clock,
    log,
  });
  await Promise.all([addresses.run(signal), writer.run(signal), events.run(signal), recorder.run(signal)]);
}
