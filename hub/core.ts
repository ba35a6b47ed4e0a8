import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { createRegistry } from '../lib/ops/index.ts';
import { SpeakerRegister } from '../lib/sync/index.ts';
import type { Lifetimes } from '../lib/identity/authority.ts';
import { HubAuthority } from './certificates/hub-authority.ts';
import { Revocations } from './certificates/revocations.ts';
import { ServiceAccountTokens } from './certificates/service-account-tokens.ts';
import { Tokens } from './certificates/tokens.ts';
import { Compiler } from './compile/compiler.ts';
import { Distributor } from './distribute/distributor.ts';
import { Fleet } from './fleet/fleet.ts';
import { PresenceRegister } from './presence.ts';
import { liveView } from './live-view.ts';
import { type HubMetrics, registerHubMetrics } from './metrics/hub-metrics.ts';
import { openEmbeddedStore } from './store/embedded.ts';
import type { Store } from './store/store.ts';
import type { HubView } from './view.ts';

/** What a hub is made of, before anybody is served. */
export interface HubCore {
  readonly store: Store;
  readonly authority: HubAuthority;
  readonly tokens: Tokens;
  readonly serviceAccountTokens: ServiceAccountTokens;
  readonly revocations: Revocations;
  readonly fleet: Fleet;
  readonly presence: PresenceRegister;
  readonly speakers: SpeakerRegister;
  readonly distributor: Distributor;
  readonly view: HubView;
  readonly registry: Registry;
  readonly metrics: HubMetrics;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Loads the store and joins what works on it: fleet → compiler → distributor.
 *
 * @param stack takes what must be ended, in order.
 * @throws HeadgateError HG2003 data folder, HG4003 damaged store
 */
export async function openCore(
  { data, lifetimes }: { readonly data: string; readonly lifetimes?: Lifetimes },
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  stack: AsyncDisposableStack,
): Promise<HubCore> {
  const store = stack.use(await openEmbeddedStore({ folder: data, clock, log }));
  const authority = stack.use(
    await HubAuthority.open({
      store,
      kekFile: join(data, 'kek.key'),
      clock,
      log,
      ...(lifetimes === undefined ? {} : { lifetimes }),
    }),
  );
  const revocations = stack.use(await Revocations.open({ store, clock, log }));
  const fleet = stack.use(await Fleet.open({ store, clock, log, fleetName: authority.fleetName }));
  const presence = new PresenceRegister(clock);
  const speakers = new SpeakerRegister();
  const compiler = new Compiler();
  const view = liveView(fleet, compiler, presence);
  const told: { metrics: HubMetrics | undefined } = { metrics: undefined };
  const distributor = new Distributor({
    clock,
    log,
    speakers,
    presence: {
      opened: (cluster) => presence.opened(cluster),
      heard: (cluster) => presence.heard(cluster),
      acknowledged: (cluster, revision) => {
        presence.acknowledged(cluster, revision);
        told.metrics?.acknowledged(cluster, revision);
      },
    },
  });
  const registry = createRegistry('hub');
  const metrics = registerHubMetrics(registry, view, distributor, () => clock.now());
  told.metrics = metrics;
  stack.defer(
    fleet.subscribe((change) => {
      const started = clock.now();
      const compiled = compiler.apply(change);
      metrics.compiled(compiled, (clock.now() - started) / 1_000);
      distributor.apply(compiled, change.state.epoch);
    }),
  );
  const tokens = new Tokens({ store, clock, rootSpki: authority.rootSpki });
  return {
    store,
    authority,
    tokens,
    serviceAccountTokens: new ServiceAccountTokens({ store, clock }),
    revocations,
    fleet,
    presence,
    speakers,
    distributor,
    view,
    registry,
    metrics,
    clock,
    log,
  };
}
