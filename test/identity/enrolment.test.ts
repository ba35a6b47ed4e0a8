import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { AgentIdentity } from '../../agent/identity/agent-identity.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseAddress } from '../../lib/config/address.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import { renewalDelay } from '../../lib/identity/renewal.ts';
import { dialRpc, type RpcServices } from '../../lib/rpc/index.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { defaultLifetimes } from '../../lib/identity/authority.ts';
import { validity } from '../../lib/identity/certificate.ts';
import { identityFleet, type IdentityFleet } from './fleet.fixture.ts';

const cluster = { kind: 'cluster', fleet: 'fleet', cluster: 'eu' };

async function renewed(identity: AgentIdentity): Promise<void> {
  const events = new EventTarget();
  const undo = identity.onChange(() => events.dispatchEvent(new Event('change')));
  await once(events, 'change');
  undo();
}

async function joined(fleet: IdentityFleet, folder = 'a'): Promise<AgentIdentity> {
  return fleet.agent({ folder, join: { token: await fleet.hub.tokens.add('eu', 'cluster') } });
}

describe('enrolment over the wire', () => {
  test('an agent enrols once and needs no token after', async () => {
    await using fleet = await identityFleet();
    const file = join(fleet.hub.folder, 'join');
    await writeFile(file, `${await fleet.hub.tokens.add('eu', 'cluster')}\n`);
    const first = await fleet.agent({ folder: 'a', join: { file } });
    expect(first.current().identity).toEqual(cluster);
    const again = await fleet.agent({ folder: 'a' });
    expect(again.current()).toEqual(first.current());
    await expect(fleet.agent({ folder: 'a', cluster: 'us' })).rejects.toMatchObject({ code: 'HG2005' });
  });

  test('an answer that was lost is asked for again with the same keys', async () => {
    let calls = 0;
    await using fleet = await identityFleet({
      enrol: async (request) => {
        const answer = await fleet.hub.enrolment.enrol(request);
        calls += 1;
        if (calls === 1) throw new HeadgateError('HG3001', 'the line was cut');
        return answer;
      },
    });
    expect((await joined(fleet)).current().identity).toEqual(cluster);
    expect(calls).toBe(2);
  });

  test('a wrong token is one line, and leaves nothing that a right one trips over', async () => {
    await using fleet = await identityFleet();
    await using other = await identityFleet();
    const { tokens } = fleet.hub;
    const used = await tokens.add('eu', 'cluster');
    await fleet.agent({ folder: 'first', join: { token: used } });
    const wrong = {
      'HG2004 malformed': 'hgjoin1.x',
      'HG2004 used': used,
      'HG2004 another cluster': await tokens.add('us', 'cluster'),
      'HG2004 another role': await tokens.add('eu', 'node'),
      'HG2005 another fleet': await other.hub.tokens.add('eu', 'cluster'),
    };
    for (const [name, token] of Object.entries(wrong)) {
      const error = await fleet.agent({ folder: 'b', join: { token } }).catch((thrown: unknown) => thrown);
      if (!(error instanceof HeadgateError)) throw new Error(`${name} was accepted`);
      expect({ name, code: error.code }).toEqual({ name, code: name.slice(0, 6) });
      expect(error.line()).not.toContain('\n');
      expect(error.chain()).not.toContain(token.split('.')[2] ?? token);
    }
    await expect(fleet.agent({ folder: 'b' })).rejects.toMatchObject({ code: 'HG2005' });
    await expect(fleet.agent({ folder: 'b', join: { file: '/nonexistent' } })).rejects.toMatchObject({
      code: 'HG2004',
    });
    expect((await joined(fleet, 'b')).current().identity).toEqual(cluster);
  });

  test('the cluster id is bound to the UID that enrolled first', async () => {
    await using fleet = await identityFleet();
    await joined(fleet);
    const rival = {
      folder: 'rival',
      clusterUid: 'another',
      join: { token: await fleet.hub.tokens.add('eu', 'cluster') },
    };
    await expect(fleet.agent(rival)).rejects.toMatchObject({
      code: 'HG2005',
      remedy: expect.stringContaining('headgate cluster remove eu'),
    });
  });

  test('an agent tries the next address, and waits for a hub that is not up yet', async () => {
    await using fleet = await identityFleet();
    // A port that nobody listens on.
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const bound = closed.address();
    if (bound === null || typeof bound === 'string') throw new Error('no port');
    closed.close();
    const dead = { host: '127.0.0.1', port: bound.port };
    const token = await fleet.hub.tokens.add('eu', 'cluster');
    const identity = await fleet.agent({
      folder: 'a',
      hubs: [dead, parseAddress(fleet.server.address)],
      join: { token },
    });
    expect(identity.current().identity).toEqual(cluster);

    const stop = new AbortController();
    const waiting = fleet.agent({
      folder: 'b',
      hubs: [dead],
      join: { token: await fleet.hub.tokens.add('eu', 'cluster') },
      signal: stop.signal,
      clock: {
        ...systemClock,
        // The first back-off: it has tried and goes on trying.
        sleep: (ms, signal) => {
          stop.abort(new Error('stopped'));
          return systemClock.sleep(ms, signal);
        },
      },
    });
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('certificates renew by themselves at half life, with new keys, and reach the disk', async () => {
    await using fleet = await identityFleet({}, { ...defaultLifetimes, control: 4_000 });
    const identity = await joined(fleet);
    const before = identity.current();
    await renewed(identity);
    const after = identity.current();
    expect(after.identity).toEqual(before.identity);
    for (const link of ['control', 'gateway'] as const) {
      expect(after[link].privateKey).not.toBe(before[link].privateKey);
      expect(new X509Certificate(after[link].certificate).serialNumber).not.toBe(
        new X509Certificate(before[link].certificate).serialNumber,
      );
    }
    await identity[Symbol.asyncDispose]();
    expect((await fleet.agent({ folder: 'a' })).current()).toEqual(identity.current());
  });

  test('an agent that was away past expiry renews at its start, without a token', async () => {
    await using fleet = await identityFleet({}, { ...defaultLifetimes, control: 2_000 });
    const identity = await joined(fleet);
    await identity[Symbol.asyncDispose]();
    const { notAfter } = validity(new X509Certificate(identity.current().control.certificate));
    await systemClock.sleep(Math.max(0, notAfter - Date.now() + 50));
    const back = await fleet.agent({ folder: 'a' });
    expect(back.current()).toEqual(identity.current());
    await renewed(back);
    expect(validity(new X509Certificate(back.current().control.certificate)).notAfter).toBeGreaterThan(notAfter);
  });

  test('a node agent apart enrols and renews through its cluster agent', async () => {
    await using fleet = await identityFleet({}, { ...defaultLifetimes, control: 4_000 });
    const agent = await joined(fleet);
    const nodes = await fleet.nodesServer(agent);
    const token = await fleet.hub.tokens.add('eu', 'node');
    const apart = { folder: 'n2', role: 'node', node: 'n2', clusterUid: '', join: { token } } as const;
    // A node's place is its cluster agent, not the hub.
    await expect(fleet.agent(apart)).rejects.toMatchObject({ code: 'HG2005' });
    const node = await fleet.agent({ ...apart, hubs: [parseAddress(nodes.address)] });
    expect(node.current().identity).toEqual({ kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n2' });
    await renewed(node);
    expect(node.current().identity).toEqual({ kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n2' });
  });

  test.each([-1, 1])('promise-18 clocks that differ by %d h change nothing', async (hours) => {
    const reported = Promise.withResolvers<Identity>();
    const services: RpcServices = { report: ({ identity }) => Promise.resolve(reported.resolve(identity)) };
    await using fleet = await identityFleet(services, defaultLifetimes, hours * 3_600_000);
    const identity = await joined(fleet);
    const { control } = identity.current();
    using connection = dialRpc({ address: fleet.server.address, tls: control, expect: ({ kind }) => kind === 'hub' });
    const end = await connection.report().frames[Symbol.asyncIterator]().next();
    expect(end.done).toBe(true);
    expect(await reported.promise).toEqual(cluster);
    const middle = renewalDelay(control.certificate, { ...systemClock, random: () => 0.5 });
    expect(middle / 3_600_000).toBeCloseTo(12 + hours, 1);
  });
});
