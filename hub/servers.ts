import { type Address, formatAddress } from '../lib/config/address.ts';
import { type OpsServer, startOps } from '../lib/ops/index.ts';
import { type RpcServer, serveRpc } from '../lib/rpc/index.ts';
import type { Audit } from './api/audit.ts';
import { apiEndpoints } from './api/endpoints.ts';
import type { OperatorToken } from './api/operator-tokens.ts';
import { type ApiServer, startApi } from './api/server.ts';
import { PolicyWriter } from './api/write/policy-writer.ts';
import { enrolmentServices } from './certificates/enrolment-services.ts';
import { Enrolment } from './certificates/enrolment.ts';
import { explainRequest } from './compile/explain/explain.ts';
import type { HubCore } from './core.ts';
import { ReportService } from './ingest/report-service.ts';

/** gRPC for agents. @throws HeadgateError HG2002 */
export async function serveAgents(core: HubCore, address: Address, signal: AbortSignal): Promise<RpcServer> {
  const {
    store,
    authority,
    tokens,
    serviceAccountTokens,
    revocations,
    speakers,
    presence,
    distributor,
    metrics,
    clock,
    log,
  } = core;
  const enrolment = new Enrolment({ authority, tokens, serviceAccountTokens, revocations, store, clock, log });
  const reports = new ReportService({
    store,
    clock,
    log,
    speakers,
    presence,
    signal,
    onHeld: () => metrics.blocked('shrink'),
  });
  return await serveRpc({
    address: formatAddress(address),
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
  });
}

/** The API for operators. @throws HeadgateError HG2002 */
export async function serveOperators(
  core: HubCore,
  audit: Audit,
  address: Address,
  tokens: readonly OperatorToken[],
): Promise<ApiServer> {
  const { store, authority, revocations, fleet, presence, view, clock, log } = core;
  return await startApi({
    address,
    fleet: authority.fleetName,
    credentials: authority.serverCredentials(),
    tokens,
    log,
    endpoints: apiEndpoints({
      view,
      store,
      clock,
      tokens: core.tokens,
      serviceAccountTokens: core.serviceAccountTokens,
      rootSpki: authority.rootSpki,
      revocations,
      audit,
      writer: new PolicyWriter(store, audit),
      forget: (cluster) => presence.forget(cluster),
      explain: (request) => explainRequest(view.state(), (host) => view.compiled(host), request),
      reached: async (revision) => await fleet.reached(revision),
    }),
  });
}

/** /livez, /readyz and /metrics. @throws HeadgateError HG2002 */
export async function serveOps({ store, registry, log }: HubCore, address: Address): Promise<OpsServer> {
  const checkStore = async (): Promise<undefined> => {
    await store.epoch();
  };
  return await startOps({
    address,
    registry,
    log,
    checks: [
      { name: 'store', check: checkStore },
      { name: 'fleet', check: () => undefined },
    ],
  });
}
