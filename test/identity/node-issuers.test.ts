import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { AgentIdentity } from '../../agent/identity/agent-identity.ts';
import type { NodeAttestor } from '../../agent/identity/node-enrolment.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { parseAddress } from '../../lib/config/address.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { Authority, defaultLifetimes } from '../../lib/identity/authority.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import { validity } from '../../lib/identity/certificate.ts';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import type { TlsCredentials } from '../../lib/identity/tls-credentials.ts';
import { dialRpc, type RpcServer, type RpcServices } from '../../lib/rpc/index.ts';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identityFleet, type IdentityFleet } from './fleet.fixture.ts';

const hour = 3_600_000;
const reached: Identity[] = [];
const streams: RpcServices = { report: ({ identity }) => Promise.resolve(void reached.push(identity)) };
/** Vouches for `NODE.token`. */
const attestor: NodeAttestor = {
  attest: (token) =>
    token.endsWith('.token')
      ? Promise.resolve(token.slice(0, -'.token'.length))
      : Promise.reject(new HeadgateError('HG2004', 'nobody’s token')),
};

let fleet: IdentityFleet;
let eu: AgentIdentity;
let us: AgentIdentity;
let nodes: RpcServer;

beforeAll(async () => {
  fleet = await identityFleet(streams, { ...defaultLifetimes, control: 2_000 });
  const enrol = async (cluster: string) =>
    fleet.agent({
      folder: cluster,
      cluster,
      clusterUid: `uid-of-${cluster}`,
      join: { token: await fleet.hub.tokens.add(cluster, 'cluster') },
    });
  [eu, us] = [await enrol('eu'), await enrol('us')];
  nodes = await fleet.nodesServer(eu, streams, attestor);
});
afterAll(async () => await fleet[Symbol.asyncDispose]());

/** A node agent that proves itself by a token of its cluster's. */
async function newNode(
  node: string,
  {
    token = `${node}.token`,
    ...options
  }: { readonly token?: string; readonly signal?: AbortSignal; readonly clock?: Clock } = {},
) {
  const file = join(fleet.hub.folder, `${node}.token`);
  await writeFile(file, `${token}\n`);
  return fleet.agent({
    folder: node,
    role: 'node',
    node,
    clusterUid: '',
    hubs: [parseAddress(nodes.address)],
    join: { serviceAccountToken: file, rootSpki: fleet.hub.authority.rootSpki },
    ...options,
  });
}

/** What the other end says to a Report stream; `accepted` when it ended in order. */
async function report(server: RpcServer, tls: TlsCredentials): Promise<string> {
  using connection = dialRpc({ address: server.address, tls, expect: () => true });
  try {
    for await (const frame of connection.report().frames) expect(frame).toBeUndefined();
    return 'accepted';
  } catch (error) {
    return HeadgateError.from(error).code;
  }
}

/** A control certificate that the CA of `from` issues to whomever. */
async function issued(from: AgentIdentity, identity: Identity): Promise<TlsCredentials> {
  const { issuers, control } = from.current();
  if (issuers === undefined) throw new Error('no CA');
  const { csr, privateKey } = await makeKeyAndCsr();
  const authority = await Authority.load(issuers.node);
  const leaf = await authority.issueControl(identity, { csr, now: Date.now(), lifetime: hour });
  return { certificate: leaf + issuers.node.certificate, privateKey, ca: control.ca };
}

describe('nodes get their certificates from their cluster agent', () => {
  test('promise-01 a new node enrols and renews while the hub is gone, its certificates expired', async () => {
    await fleet.server[Symbol.asyncDispose]();
    const { notAfter } = validity(new X509Certificate(eu.current().control.certificate));
    await systemClock.sleep(Math.max(0, notAfter - Date.now() + 50));
    const node = await newNode('n7');
    const first = node.current();
    const events = new EventTarget();
    node.onChange(() => events.dispatchEvent(new Event('renewed')));
    await once(events, 'renewed');
    expect(node.current().control.privateKey).not.toBe(first.control.privateKey);
    expect(node.current().identity).toEqual({ kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n7' });
    expect(await report(nodes, node.current().control)).toBe('accepted');
    expect(reached.splice(0)).toEqual([node.current().identity]);
    const gateway = new X509Certificate(node.current().gateway.certificate);
    expect([gateway.subject, gateway.subjectAltName, gateway.issuer]).toEqual([
      undefined,
      'DNS:eu.gateway.headgate',
      'CN=eu.gateway.headgate',
    ]);
  });

  test('promise-23 what a cluster’s CA issues is a node of that cluster, there, and nothing else anywhere', async () => {
    const node: Identity = { kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n1' };
    expect(await report(nodes, await issued(eu, node))).toBe('accepted');
    reached.splice(0);
    const forged: [string, TlsCredentials][] = [
      ['a node of eu, by the CA of us', await issued(us, node)],
      ['a node of us, by the CA of us', await issued(us, { ...node, cluster: 'us' })],
      ['a node of us, by the CA of eu', await issued(eu, { ...node, cluster: 'us' })],
      ['the agent of eu', await issued(eu, { kind: 'cluster', fleet: 'fleet', cluster: 'eu' })],
      ['a hub', await issued(eu, { kind: 'hub', fleet: 'fleet', id: 'h1' })],
      ['a node of another fleet', await issued(eu, { ...node, fleet: 'other' })],
    ];
    for (const [name, tls] of forged) {
      expect({ name, got: await report(nodes, tls) }).toEqual({
        name,
        got: expect.stringMatching(/^HG(2005|2006|3001)$/),
      });
    }
    await using again = await identityFleet(streams);
    const agent = await again.agent({ folder: 'eu', join: { token: await again.hub.tokens.add('eu', 'cluster') } });
    for (const kind of ['cluster', 'hub'] as const) {
      const identity: Identity =
        kind === 'hub' ? { kind, fleet: 'fleet', id: 'h1' } : { kind, fleet: 'fleet', cluster: 'eu' };
      expect(await report(again.server, await issued(agent, identity))).toBe('HG2005');
    }
    // Nor is the certificate that it serves its nodes with a client's.
    const server = agent.current().issuers?.server;
    expect(server === undefined ? '' : await report(again.server, server)).toBe('HG2005');
    expect(reached).toEqual([]);
  });

  test('promise-23 a token that was used is no use to who reads it later', async () => {
    const { control } = eu.current();
    using connection = dialRpc({ address: nodes.address, tls: { ca: control.ca }, expect: () => true });
    const enrol = async () =>
      connection.enrol({
        token: 'n7.token',
        controlCsr: (await makeKeyAndCsr()).csr,
        gatewayCsr: (await makeKeyAndCsr()).csr,
        clusterUid: '',
        node: 'n7',
        cluster: 'eu',
        issuers: undefined,
      });
    await expect(enrol()).rejects.toMatchObject({ code: 'HG2004' });
  });

  test('a token that proves nothing is refused, and tried again', async () => {
    const stop = new AbortController();
    // The first back-off: it has tried and goes on trying.
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        stop.abort(new Error('stopped'));
        return systemClock.sleep(ms, signal);
      },
    };
    await expect(newNode('n9', { token: 'forged', signal: stop.signal, clock })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});
