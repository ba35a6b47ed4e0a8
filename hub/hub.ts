import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { type Address, formatAddress } from '../lib/config/address.ts';
import { assertFree } from '../lib/config/listen.ts';
import type { Log } from '../lib/log.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { createRegistry, startOps } from '../lib/ops/index.ts';
import { serveRpc } from '../lib/rpc/index.ts';
import { SpeakerRegister } from '../lib/sync/index.ts';
import { keepAdminFile } from './admin-file.ts';
import { Audit } from './api/audit.ts';
import { apiEndpoints } from './api/endpoints.ts';
import type { OperatorToken } from './api/operator-tokens.ts';
import { startApi } from './api/server.ts';
import { PolicyWriter } from './api/write/policy-writer.ts';
import { enrolmentServices } from './certificates/enrolment-services.ts';
import { Enrolment } from './certificates/enrolment.ts';
import { HubAuthority } from './certificates/hub-authority.ts';
import { Revocations } from './certificates/revocations.ts';
import { Tokens } from './certificates/tokens.ts';
import { Compiler } from './compile/compiler.ts';
import { explainRequest } from './compile/explain.ts';
import { Distributor } from './distribute/distributor.ts';
import { Fleet } from './fleet/fleet.ts';
import { runOwnership } from './ingest/ownership/ownership.ts';
import { PresenceRegister } from './ingest/presence.ts';
import { ReportService } from './ingest/report-service.ts';
import { liveView } from './live-view.ts';
import { type HubMetrics, registerHubMetrics } from './metrics/hub-metrics.ts';
import { watchSilence } from './silence.ts';
import { openEmbeddedStore } from './store/embedded.ts';

export interface HubOptions {
  /** Folder of the store, the key-encryption key and admin.yaml; made where it is missing. */
  readonly data: string;
  readonly grpc: Address;
  readonly http: Address;
  readonly ops: Address;
  /** Bearer tokens that the API accepts beside client certificates. */
  readonly tokens: readonly OperatorToken[];
}

export interface HubAround {
  readonly log: Log;
  readonly clock: Clock;
  /** Ends the hub in order. */
  readonly signal: AbortSignal;
  /** Called once, when the hub serves, with the addresses that it really got. */
  readonly ready: (fields: { readonly grpc: string; readonly http: string; readonly ops: string }) => void;
}

/**
 * Runs one hub until the signal is aborted. Nothing is served before the store is loaded: a hub that does not
 * know its fleet stays silent.
 *
 * @throws HeadgateError HG2002 address taken, HG2003 data folder, HG4003 damaged store
 */
export async function runHub(options: HubOptions, around: HubAround): Promise<void> {
  const { log, clock } = around;
  // Before a fleet is made that nobody could reach.
  await assertFree(options.grpc, 'gRPC');
  await assertFree(options.http, 'the API');
  await assertFree(options.ops, 'ops');
  await makeFolder(options.data);
  await using stack = new AsyncDisposableStack();
  const ending = new AbortController();
  const signal = AbortSignal.any([around.signal, ending.signal]);

  const store = stack.use(await openEmbeddedStore({ folder: options.data, clock, log }));
  const kekFile = join(options.data, 'kek.key');
  const authority = stack.use(await HubAuthority.open({ store, kekFile, clock, log }));
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
  const enrolment = new Enrolment({ authority, tokens, revocations, store, clock, log });
  const reports = new ReportService({
    store,
    clock,
    log,
    speakers,
    presence,
    signal,
    onHeld: () => metrics.blocked('shrink'),
  });
  const rpc = stack.use(
    await serveRpc({
      address: formatAddress(options.grpc),
      role: 'hub',
      tls: authority.serverCredentials(),
      log,
      clock,
      signal,
      admit: (identity, serial) => identity.fleet === authority.fleetName && !revocations.isRevoked(identity, serial),
      services: {
        report: async (caller, pipe) => await reports.report(caller, pipe),
        configure: async (caller, pipe) => await distributor.serve(caller.identity, pipe, signal),
        ...enrolmentServices(enrolment),
      },
    }),
  );
  stack.defer(
    revocations.onChange(() => {
      rpc.closeWhere((identity, serial) => revocations.isRevoked(identity, serial));
    }),
  );

  const audit = new Audit(store, clock, log);
  const api = stack.use(
    await startApi({
      address: options.http,
      fleet: authority.fleetName,
      credentials: authority.serverCredentials(),
      tokens: options.tokens,
      log,
      endpoints: apiEndpoints({
        view,
        store,
        clock,
        tokens,
        revocations,
        audit,
        writer: new PolicyWriter(store, audit),
        forget: (cluster) => presence.forget(cluster),
        explain: (request) => explainRequest(view.state(), (host) => view.compiled(host), request),
        reached: async (revision) => await fleet.reached(revision),
      }),
    }),
  );
  stack.defer(
    authority.onServerCredentials((credentials) => {
      rpc.setTls(credentials);
      api.useCredentials(credentials);
    }),
  );
  await keepAdminFile(options.data, api.address, authority, clock);
  const ops = stack.use(
    await startOps({
      address: options.ops,
      registry,
      log,
      checks: [
        {
          name: 'store',
          check: async () => {
            await store.epoch();
            return undefined;
          },
        },
        { name: 'fleet', check: () => undefined },
      ],
    }),
  );

  const work = [
    runOwnership({ store, fleet, clock, log }, signal),
    watchSilence(
      {
        clock,
        presence,
        members: () => fleet.state().members.keys(),
        setStale: (cluster, ms) => fleet.setStale(cluster, ms),
      },
      signal,
    ),
    audit.prune(),
  ];
  stack.defer(async () => {
    ending.abort();
    await Promise.allSettled(work);
  });
  const address = { grpc: rpc.address, http: api.address, ops: ops.address };
  log.info('hub ready', { ...address, fleet: authority.fleetName, revision: fleet.state().revision });
  around.ready(address);
  await Promise.all([...work, aborted(signal)]);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
