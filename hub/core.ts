import type { Registry } from 'prom-client';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { createRegistry } from '../lib/ops/index.ts';
import { SpeakerRegister } from '../lib/sync/index.ts';
import type { Lifetimes } from '../lib/identity/authority.ts';
import { HubAuthority } from './certificates/hub-authority.ts';
import { Revocations } from './certificates/revocations.ts';
import { ServiceAccountTokens } from './certificates/service-account-tokens.ts';
import { KeyEncryptionKey } from './certificates/seal.ts';
import { Tokens } from './certificates/tokens.ts';
import { Compiler } from './compile/compiler.ts';
import { Distributor } from './distribute/distributor.ts';
import { Fleet } from './fleet/fleet.ts';
import { PresenceRegister } from './presence.ts';
import { liveView } from './live-view.ts';
import { type HubMetrics, registerHubMetrics } from './metrics/hub-metrics.ts';
import { openStore, type StoreChoice } from './store/open-store.ts';
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

export interface CoreOptions {
  readonly store: StoreChoice;
  /** The key-encryption key; made beside a new embedded store. */
  readonly kekFile: string;
  /** Of the certificates that it issues; the usual ones unless given. */
  readonly lifetimes?: Lifetimes;
}

/**
 * Loads the store and joins what works on it: fleet → compiler → distributor.
 *
 * @param stack takes what must be ended, in order.
 * @throws HeadgateError HG2003 data folder or key, HG4003 damaged store, and as openStore does
 */
export async function openCore(
  { store: choice, kekFile, lifetimes }: CoreOptions,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  stack: AsyncDisposableStack,
): Promise<HubCore> {
  // On etcd it is not made: two hubs would make two.
  if (choice.kind === 'etcd') await KeyEncryptionKey.read(kekFile);
  const store = stack.use(await openStore(choice, { clock, log }));
  const authority = stack.use(
    await HubAuthority.open({
      store,
      kekFile,
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
