import { sign, X509Certificate } from 'node:crypto';
import { glob } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { Client, credentials, status, type StatusObject } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { AgentIdentity } from '../../agent/identity/agent-identity.ts';
import { serialAt } from '../../lib/identity/serial.ts';
import { tokenLifetime } from '../../hub/certificates/tokens.ts';
import { Authority } from '../../lib/identity/authority.ts';
import { identityOf } from '../../lib/identity/certificate.ts';
import { greedyCsr } from '../../lib/identity/greedy-csr.fixture.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import type { TlsCredentials } from '../../lib/identity/tls-credentials.ts';
import { formatToken, parseToken } from '../../lib/identity/token.ts';
import { dialOptions } from '../../lib/rpc/channel-options.ts';
import { dialRpc, mayCall, type RpcServer, type RpcServices, type ServerRole } from '../../lib/rpc/index.ts';
import type { RenewRequest } from '../../proto/gen/headgate/v1/enrolment.ts';
import { identityFleet, type IdentityFleet } from './fleet.fixture.ts';

interface Rpc {
  readonly path: string;
  readonly requestStream: boolean;
}

const methods = z.record(z.string(), z.object({ path: z.string(), requestStream: z.boolean() }));

/** Every RPC of the protocol, from the generated code: a new service is tried without being named here. */
async function everyRpc(): Promise<Rpc[]> {
  const rpcs: Rpc[] = [];
  const folder = new URL('../../proto/gen/headgate/v1/', import.meta.url);
  for await (const file of glob('*.ts', { cwd: folder })) {
    const module: Record<string, unknown> = await import(new URL(file, folder).href);
    for (const [name, value] of Object.entries(module)) {
      if (name.endsWith('ServiceService')) rpcs.push(...Object.values(methods.parse(value)));
    }
  }
  return rpcs;
}

/** What an impostor shows; undefined shows nothing. */
type Shown = Pick<TlsCredentials, 'certificate' | 'privateKey'> | undefined;

const hour = 3_600_000;
const eu = { kind: 'cluster', fleet: 'fleet', cluster: 'eu' } as const;
const euNode = { kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n1' } as const;

let fleet: IdentityFleet;
let agent: AgentIdentity;
let nodes: RpcServer;
/** Who reached a handler of Report or Configure. */
const reached: Identity[] = [];
const tried = { calls: 0, denied: 0 };

const streams: RpcServices = {
  report: ({ identity }) => Promise.resolve(void reached.push(identity)),
  configure: ({ identity }) => Promise.resolve(void reached.push(identity)),
};

beforeAll(async () => {
  fleet = await identityFleet(streams);
  agent = await fleet.agent({ folder: 'eu', join: { token: await fleet.hub.tokens.add('eu', 'cluster') } });
  nodes = await fleet.nodesServer(agent, streams);
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  process.stdout.write(`promise-23 impersonation: ${tried.denied} of ${tried.calls} denied\n`);
});

async function issue(identity: Identity, { from = fleet.hub.authority.control, age = 0 } = {}): Promise<Shown> {
  const { csr, privateKey } = await makeKeyAndCsr();
  const { at } = await fleet.hub.revocations.check(eu, '');
  const request = { csr, now: Date.now() - age, lifetime: hour, serial: serialAt(at) };
  return { certificate: await from.issueControl(identity, request), privateKey };
}

/** Everyone that an RPC is not for. */
async function impostors(server: ServerRole, path: string): Promise<[string, Shown][]> {
  const right: Identity = server === 'hub' ? eu : euNode;
  const foreign = await Authority.create('Headgate control CA', 'fleet', Date.now());
  const shown: [string, Shown][] = [
    ['no certificate', undefined],
    ['a certificate of another CA', await issue(right, { from: foreign })],
    ['an expired certificate', await issue(right, { age: 2 * hour })],
    ['the name of another fleet', await issue({ ...right, fleet: 'other' })],
    ['the certificate of an operator', await fleet.hub.authority.operatorCredentials('admin')],
    ['the certificate of a gateway', agent.current().gateway],
  ];
  for (const identity of [eu, euNode, { kind: 'hub', fleet: 'fleet', id: 'h9' }] as const) {
    if (!mayCall(server, path, identity)) shown.push([`the certificate of a ${identity.kind}`, await issue(identity)]);
  }
  if (server === 'agent') {
    shown.push(['a node of another cluster', await issue({ ...euNode, cluster: 'us' })]);
  } else {
    const revoked = await issue({ ...eu, cluster: 'gone' });
    await fleet.hub.revocations.revoke('cluster/gone');
    shown.push(['a revoked certificate', revoked]);
  }
  return shown;
}

/** Calls an RPC with nothing of ours between caller and server but TLS; gives the status it ends with. */
async function call(server: RpcServer, { path }: Pick<Rpc, 'path'>, shown: Shown, body = Buffer.alloc(0)) {
  const secureContext = createSecureContext({
    ca: fleet.hub.authority.controlCa,
    cert: shown?.certificate,
    key: shown?.privateKey,
    minVersion: 'TLSv1.3',
  });
  const channel = credentials.createFromSecureContext(secureContext, { checkServerIdentity: () => undefined });
  const client = new Client(server.address, channel, dialOptions);
  try {
    return await new Promise<StatusObject>((resolve) => {
      // A unary method is a stream of one message.
      const stream = client.makeBidiStreamRequest<Buffer, Buffer>(
        path,
        (bytes) => bytes,
        (bytes) => bytes,
        { deadline: Date.now() + 10_000 },
      );
      stream.on('data', () => undefined);
      stream.on('error', () => undefined);
      stream.on('status', resolve);
      stream.write(body);
      stream.end();
    });
  } finally {
    client.close();
  }
}

/** Counts one attempt, which must end with one of these codes. */
function expectDenied<Code>(attempt: string, code: Code, denials: readonly Code[]): void {
  tried.calls += 1;
  expect({ attempt, code }).toEqual({ attempt, code: denials.find((denial) => denial === code) });
  tried.denied += 1;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'accepted',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  );
}

describe('promise-23 impersonation', () => {
  test.each(['hub', 'agent'] as const)('every RPC × every wrong certificate is denied at the %s', async (role) => {
    const server = role === 'hub' ? fleet.server : nodes;
    const rpcs = await everyRpc();
    expect(rpcs.length).toBeGreaterThanOrEqual(5);
    for (const rpc of rpcs) {
      // A nonce is random bytes and gives nothing by itself.
      if (rpc.path.endsWith('/Nonce')) continue;
      for (const [name, shown] of await impostors(role, rpc.path)) {
        const { code } = await call(server, rpc, shown);
        // UNAVAILABLE: cut right after the handshake.
        const denials = [status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.UNAVAILABLE];
        expectDenied(`${rpc.path} with ${name}`, code, denials);
      }
    }
    expect(reached).toEqual([]);
    for (const path of ['/headgate.v1.ReportService/Other', '/grpc.reflection.v1.ServerReflection/Info']) {
      const { code } = await call(server, { path }, await issue(role === 'hub' ? eu : euNode));
      expectDenied(path, code, [status.PERMISSION_DENIED, status.UNIMPLEMENTED]);
    }
    // And who it is for gets through, as who its certificate says.
    const right = role === 'hub' ? eu : euNode;
    for (const rpc of rpcs.filter(({ requestStream }) => requestStream)) {
      expect(await call(server, rpc, await issue(right))).toMatchObject({ code: status.OK });
    }
    expect(reached.splice(0)).toEqual([right, right]);
  });

  test('a join token is no use to who stole it, late, changed or elsewhere', async () => {
    const { tokens, authority } = fleet.hub;
    using connection = dialRpc({ address: fleet.server.address, tls: { ca: authority.controlCa }, expect: () => true });
    const enrol = async (token: string, csrs?: { controlCsr: Buffer; gatewayCsr: Buffer }) => {
      const own = { controlCsr: (await makeKeyAndCsr()).csr, gatewayCsr: (await makeKeyAndCsr()).csr };
      const named = { clusterUid: 'uid-of-ap', node: 'n1', cluster: '', issuers: undefined };
      return connection.enrol({ token, ...named, ...own, ...csrs });
    };
    const line = await tokens.add('ap', 'cluster');
    const token = parseToken(line);
    const first = { controlCsr: (await makeKeyAndCsr()).csr, gatewayCsr: (await makeKeyAndCsr()).csr };
    await enrol(line, first);
    const forged = await tokens.add('ap', 'cluster');
    const stolen = {
      'replay with another key': line,
      'another cluster': formatToken({ ...parseToken(forged), cluster: 'eu' }),
      'another role': formatToken({ ...parseToken(forged), role: 'node' }),
      'another secret': formatToken({ ...parseToken(forged), secret: token.secret }),
      'a later expiry after it expired': formatToken({ ...token, expiresAt: token.expiresAt + 24 * hour }),
      'no token': '',
    };
    for (const [name, text] of Object.entries(stolen)) expectDenied(name, await codeOf(enrol(text)), ['HG2004']);
    const swapped = { controlCsr: first.gatewayCsr, gatewayCsr: first.controlCsr };
    expectDenied('replay with the keys swapped', await codeOf(enrol(line, swapped)), ['HG2004']);
    expect(await codeOf(enrol(line, first))).toBe('accepted');
    fleet.hub.advance(tokenLifetime + 1);
    expectDenied('expired, unused', await codeOf(enrol(forged)), ['HG2004']);
    expectDenied('expired, with the first key', await codeOf(enrol(line, first)), ['HG2004']);
  });

  test('names that a CSR asks for are ignored', async () => {
    const { tokens, authority } = fleet.hub;
    using connection = dialRpc({ address: fleet.server.address, tls: { ca: authority.controlCa }, expect: () => true });
    const { credentials } = await connection.enrol({
      token: await tokens.add('ca', 'cluster'),
      controlCsr: await greedyCsr(),
      gatewayCsr: await greedyCsr(),
      clusterUid: 'uid-of-ca',
      node: 'n1',
      cluster: '',
      issuers: { nodeCsr: await greedyCsr(), gatewayCsr: await greedyCsr(), signature: Buffer.alloc(0) },
    });
    const control = new X509Certificate(credentials?.controlCertificate ?? '');
    const gateway = new X509Certificate(credentials?.gatewayCertificate ?? '');
    const got = [identityOf(control)?.kind, control.ca, gateway.subjectAltName, gateway.ca].join(' ');
    expectDenied('a CSR with the names of a hub and another gateway', got, [
      'cluster false DNS:ca.gateway.headgate false',
    ]);
    expect(identityOf(control)).toEqual({ ...eu, cluster: 'ca' });
  });

  test('nobody renews what is not theirs', async () => {
    const { authority, tokens, revocations } = fleet.hub;
    const dial = () => dialRpc({ address: fleet.server.address, tls: { ca: authority.controlCa }, expect: () => true });
    using connection = dial();
    using elsewhere = dial();
    const mine = agent.current().control;
    const rival = await fleet.agent({
      folder: 'us',
      cluster: 'us',
      clusterUid: 'uid-of-us',
      join: { token: await tokens.add('us', 'cluster') },
    });
    const renewal = async (certificate: string, key: string, nonce?: Buffer): Promise<RenewRequest> => {
      const [controlCsr, gatewayCsr] = [(await makeKeyAndCsr()).csr, (await makeKeyAndCsr()).csr];
      const fresh = nonce ?? (await connection.nonce()).nonce;
      return {
        issuers: undefined,
        oldIssuer: Buffer.alloc(0),
        oldCertificate: new X509Certificate(certificate).raw,
        controlCsr,
        gatewayCsr,
        nonce: fresh,
        signature: sign('sha256', Buffer.concat([fresh, controlCsr, gatewayCsr]), key),
      };
    };
    const foreign = await issue(eu, {
      from: await Authority.create('Headgate control CA', 'fleet', Date.now()),
    });
    const old = await issue(eu, { age: 9 * 24 * hour });
    const hub = authority.serverCredentials();
    const other = rival.current().control;
    const attempts: Record<string, RenewRequest> = {
      'the certificate of another cluster, by our key': await renewal(other.certificate, mine.privateKey),
      'our certificate, by the key of another cluster': await renewal(mine.certificate, other.privateKey),
      'a certificate of another CA': await renewal(foreign?.certificate ?? '', foreign?.privateKey ?? ''),
      'a certificate past its grace': await renewal(old?.certificate ?? '', old?.privateKey ?? ''),
      'the certificate of the hub, by its own key': await renewal(hub.certificate, hub.privateKey),
      'another CSR than was signed': {
        ...(await renewal(mine.certificate, mine.privateKey)),
        controlCsr: (await makeKeyAndCsr()).csr,
      },
      'the nonce of another connection': await renewal(
        mine.certificate,
        mine.privateKey,
        (await elsewhere.nonce()).nonce,
      ),
    };
    for (const [name, request] of Object.entries(attempts)) {
      expectDenied(`renewal: ${name}`, await codeOf(connection.renew(request)), ['HG2005']);
    }
    const honest = await renewal(mine.certificate, mine.privateKey);
    expect(await codeOf(connection.renew(honest))).toBe('accepted');
    expectDenied('renewal: replayed', await codeOf(connection.renew(honest)), ['HG2005']);
    await revocations.revoke('cluster/us');
    const revoked = await renewal(other.certificate, other.privateKey);
    expectDenied('renewal: revoked', await codeOf(connection.renew(revoked)), ['HG2005']);
  });
});
