import type { Clock } from '../lib/clock.ts';
import type { Address } from '../lib/config/address.ts';
import { assertFree } from '../lib/config/listen.ts';
import { openKubernetesClient } from '../lib/kubernetes/index.ts';
import type { Log } from '../lib/log.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { keepAdminFile } from './admin-file.ts';
import { Audit } from './api/audit.ts';
import type { OperatorToken } from './api/operator-tokens.ts';
import { type CoreOptions, openCore } from './core.ts';
import type { HubCluster } from './kubernetes/run-hub-resources.ts';
import { runLeading } from './leading.ts';
import { serveAgents, serveOperators, serveOps } from './servers.ts';
import { watchSilence } from './silence.ts';

export interface HubOptions extends CoreOptions {
  /** Folder of admin.yaml; made where it is missing. */
  readonly data: string;
  readonly grpc: Address;
  readonly http: Address;
  readonly ops: Address;
  /** Bearer tokens that the API accepts beside client certificates. */
  readonly tokens: readonly OperatorToken[];
  /** Whose custom resources are policies of the hub's; none unless given. */
  readonly policies?: HubCluster | undefined;
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
 * @throws HeadgateError HG2002 address taken, HG2003 data folder, HG4003 damaged store, and as openStore does; HG2001
 * or HG1002 where it cannot be told which cluster's policies are meant
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
  const core = await openCore(options, around, stack);
  const { store, authority, revocations, fleet, presence } = core;

  const rpc = stack.use(await serveAgents(core, options.grpc, signal));
  stack.defer(
    revocations.onChange(() => {
      rpc.closeWhere((identity, serial) => revocations.isRevoked(identity, serial));
    }),
  );
  const cluster =
    options.policies === undefined
      ? undefined
      : stack.use(await openKubernetesClient({ kubeconfig: options.policies.kubeconfig, clock }));
  const audit = new Audit(store, clock, log);
  const api = stack.use(await serveOperators(core, audit, options.http, options.tokens));
  stack.defer(
    authority.onServerCredentials((credentials) => {
      rpc.setTls(credentials);
      api.useCredentials(credentials);
    }),
  );
  await keepAdminFile(options.data, api.address, authority, clock);
  const ops = stack.use(await serveOps(core, options.ops));

  const work = [
    runLeading(core, cluster, signal),
    watchSilence(
      {
        clock,
        presence,
        members: () => fleet.state().members.keys(),
        setStale: (cluster, ms) => fleet.setStale(cluster, ms),
      },
      signal,
    ),
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
