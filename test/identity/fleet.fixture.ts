import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentIdentity, type AgentIdentityOptions } from '../../agent/identity/agent-identity.ts';
import { nodeServerTls } from '../../agent/cluster/serve-nodes.ts';
import { nodeEnrolment, type NodeAttestor } from '../../agent/identity/node-enrolment.ts';
import { NodeIssuer } from '../../agent/identity/node-issuer.ts';
import { NodeRevocations } from '../../agent/identity/node-revocations.ts';
import { certificatesFixture, type CertificatesFixture } from '../../hub/certificates/certificates.fixture.ts';
import { enrolmentServices } from '../../hub/certificates/enrolment-services.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseAddress } from '../../lib/config/address.ts';
import { defaultLifetimes, type Lifetimes } from '../../lib/identity/authority.ts';
import { silentLog } from '../../lib/log.ts';
import { dialRpc, serveRpc, type RpcServer, type RpcServices } from '../../lib/rpc/index.ts';

export interface IdentityFleet extends AsyncDisposable {
  readonly hub: CertificatesFixture;
  readonly server: RpcServer;
  /** Opens an agent's identity in a folder of its own, named for the agent; it is closed with the fleet. */
  agent(options: Partial<AgentIdentityOptions> & { readonly folder: string }): Promise<AgentIdentity>;
  /** A cluster agent's server for its nodes; it knows of no revocation. */
  nodesServer(identity: AgentIdentity, services?: RpcServices, attestor?: NodeAttestor): Promise<RpcServer>;
}

/**
 * A hub's certificates and its gRPC server, the real ones, and agents that enrol with it.
 *
 * @param skew milliseconds that the hub's clock is ahead of the agents'.
 */
export async function identityFleet(
  services: RpcServices = {},
  lifetimes: Lifetimes = defaultLifetimes,
  skew = 0,
): Promise<IdentityFleet> {
  await using made = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'headgate-agents-'));
  made.defer(() => rm(folder, { recursive: true, force: true }));
  const hub = made.use(await certificatesFixture(lifetimes, skew));
  const { authority, revocations, enrolment } = hub;
  const { signal } = new AbortController();
  const server = made.use(
    await serveRpc({
      address: '127.0.0.1:0',
      role: 'hub',
      tls: authority.serverCredentials(),
      services: { ...enrolmentServices(enrolment), ...services },
      log: silentLog,
      signal,
      admit: (identity, serial) => identity.fleet === authority.fleetName && !revocations.isRevoked(identity, serial),
    }),
  );
  authority.onServerCredentials((credentials) => server.setTls(credentials));
  revocations.onChange(() => server.closeWhere((identity, serial) => revocations.isRevoked(identity, serial)));
  const all = made.move();
  return {
    hub,
    server,
    agent: async (options) => {
      const at = join(folder, options.folder);
      await mkdir(at, { recursive: true });
      return all.use(
        await AgentIdentity.open({
          hubs: [parseAddress(server.address)],
          join: undefined,
          cluster: 'eu',
          node: 'n1',
          role: 'cluster',
          clusterUid: 'uid-of-eu',
          clock: systemClock,
          log: silentLog,
          signal,
          ...options,
          folder: at,
        }),
      );
    },
    nodesServer: async (identity, more = {}, attestor) => {
      const { control, identity: self } = identity.current();
      const toHub = all.use(
        dialRpc({ address: server.address, tls: control, expect: (other) => other.kind === 'hub' }),
      );
      const enrolmentForNodes = nodeEnrolment({
        cluster: self.cluster,
        fleet: self.fleet,
        hub: () => toHub,
        issuer: new NodeIssuer({
          credentials: () => identity.current(),
          heard: () => undefined,
          clock: systemClock,
        }),
        revocations: new NodeRevocations(),
        attestor,
        clock: systemClock,
        log: silentLog,
      });
      return all.use(
        await serveRpc({
          address: '127.0.0.1:0',
          role: 'agent',
          tls: nodeServerTls(identity.current()),
          services: { ...enrolmentForNodes, ...more },
          log: silentLog,
          signal,
          admit: (other) => other.fleet === self.fleet && other.kind === 'node' && other.cluster === self.cluster,
        }),
      );
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
