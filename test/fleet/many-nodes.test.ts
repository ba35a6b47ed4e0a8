import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AgentIdentity } from '../../agent/identity/agent-identity.ts';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
import { NodeAgent } from '../../agent/node/node-agent.ts';
import { runUplink } from '../../agent/uplink.ts';
import { connectHub, pathOf } from '../../cli/client.ts';
import type { DataPlane } from '../../agent/haproxy/data-plane.ts';
import type { AddClusterResponse } from '../../hub/api/types.ts';
import { systemClock as clock } from '../../lib/clock.ts';
import { parseAddress } from '../../lib/config/address.ts';
import { silentLog as log } from '../../lib/log.ts';
import type { ResourceDelta } from '../../lib/sync/index.ts';
import { cpuSeconds, resident } from '../bench/machine.ts';
import { eventually, TestFleet } from './fleet.fixture.ts';
import { NodePod } from './node-pod.ts';
import { startClusterAgent } from './rolling-nodes.ts';

/** Without HAProxies, for which one machine is too small; two more nodes have theirs. */
const LIGHT = 48;
const HOST = 'many.example';
const CHANGES = 5;

/** A node's end without a HAProxy: everything that comes is live at once. */
function nowhere(applied: (delta: ResourceDelta) => void): DataPlane {
  const status = {
    ready: true,
    reason: '',
    note: '',
    filesBehind: false,
    version: 'none',
    pid: undefined,
    http: '127.0.0.1:1',
    https: '127.0.0.1:1',
    gateway: '127.0.0.1:1',
    reloads: new Map<string, number>(),
    sparesLeft: 0,
    commands: { ok: 0, failed: 0 },
    oldWorkers: { count: 0, oldestMs: 0 },
  };
  return {
    start: () => Promise.resolve([]),
    apply: (delta) => {
      applied(delta);
      return Promise.resolve(
        delta.upserts.map(({ type, name, digest }) => ({ key: { type, name }, digest, programmed: true })),
      );
    },
    setGateway: () => Promise.resolve(),
    status: () => status,
    hold: () => undefined,
    metrics: () => Promise.resolve(''),
    stop: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

test('one cluster agent configures 50 nodes, and one of them that hangs stalls nobody', async () => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await TestFleet.start([], 2, ['eu']));
  const agent = await startClusterAgent(fleet);
  stack.defer(async () => await agent.end());
  const clusterAgent = String(agent.ready['nodes']);
  fleet.writeAll({ namespace: 'many', host: HOST }, { eu: 1 });
  const startPod = async (node: string): Promise<NodePod> =>
    await NodePod.start({ fleet: fleet.fleet, cluster: 'eu', clusterAgent, node, drains: 0, stays: 0 });
  const [well, hung] = await Promise.all(['whole', 'hung'].map(startPod));
  if (well === undefined || hung === undefined) throw new Error('two pods were started');
  stack.use(well);
  stack.use(hung);

  const hub = await connectHub({ config: fleet.fleet.adminConfig });
  const end = new AbortController();
  const { signal } = end;
  /** By node: the slices that came. */
  const seen = Array.from({ length: LIGHT }, () => new Map<string, number>());
  const running: Promise<void>[] = [];
  stack.defer(async () => {
    end.abort();
    await Promise.allSettled(running);
  });
  for (const [i, slices] of seen.entries()) {
    const node = `light${i}`;
    const folder = join(fleet.fleet.data, node);
    await mkdir(folder);
    const { token } = await hub.call<AddClusterResponse>('POST', pathOf('clusters'), {
      body: { name: 'eu', role: 'node' },
    });
    const common = { clock, log, signal };
    const hubs = [parseAddress(clusterAgent)];
    const who = { folder, hubs, join: { token }, cluster: 'eu', node, role: 'node', clusterUid: '' } as const;
    const identity = stack.use(await AgentIdentity.open({ ...who, ...common }));
    const ledger = stack.use(await openLedger({ folder: join(folder, 'ledger'), keyFile: join(folder, 'key'), log }));
    const dataPlane = nowhere(({ upserts }) => {
      for (const { type, name } of upserts) if (type === 'endpoints') slices.set(name, performance.now());
    });
    const one = new NodeAgent({
      node,
      version: '1',
      gatewayAddress: () => '127.0.0.1:1',
      ledger,
      dataPlane,
      clock,
      log,
    });
    await one.start();
    const up = { reports: one.up, sink: one.sink(), ...common };
    const expected = { expect: ({ kind }: { readonly kind: string }) => kind === 'cluster' };
    running.push(
      one.run(signal),
      runUplink({ ...up, ...expected, addresses: [clusterAgent], tls: () => identity.current().control }),
    );
  }
  await eventually(
    () => Promise.resolve(seen.every(({ size }) => size > 0)),
    () => `${seen.filter(({ size }) => size > 0).length} of ${LIGHT} nodes have their endpoints`,
    30_000,
  );

  hung.signal('SIGSTOP');
  stack.defer(() => hung.signal('SIGCONT'));
  const cpu = await cpuSeconds(agent.pid);
  const took: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    for (const slices of seen) slices.clear();
    const began = performance.now();
    const pod = 2 - (i % 2);
    fleet.write('eu', { namespace: 'many', host: HOST, firstPod: pod });
    await eventually(
      () => Promise.resolve(seen.every(({ size }) => size > 0)),
      () => `a change is at ${seen.filter(({ size }) => size > 0).length} of ${LIGHT} nodes`,
    );
    took.push(Math.max(...seen.flatMap((slices) => [...slices.values()])) - began);
    await eventually(
      async () => (await fleet.client.ask({ entry: well.http, host: HOST })).pod?.pod === `eu-${pod}`,
      () => 'the node with a HAProxy does not follow',
    );
  }
  const spent = ((await cpuSeconds(agent.pid)) - cpu) * 1_000;
  const { rss } = await resident(agent.pid);
  const last = took.map((ms) => ms.toFixed(0)).join(', ');
  process.stdout.write(
    `many nodes: 50 at one cluster agent, ${rss.toFixed(0)} MiB, ${(spent / CHANGES).toFixed(0)} ms of CPU a change, at the last node after ${last} ms\n`,
  );
  expect(rss).toBeLessThan(400);
}, 90_000);
