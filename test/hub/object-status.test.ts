import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ClusterAgent } from '../../agent/cluster/cluster-agent.ts';
import { directorySource } from '../../agent/cluster/directory/directory-source.ts';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { type RunningHub, startHub } from './running-hub.fixture.ts';

const manifests = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: headgate }
spec: { controller: headgate.dev/ingress }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop, namespace: shop, generation: 4 }
spec:
  ingressClassName: headgate
  rules:
  - host: shop.example
    http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: gone, port: { number: 80 } } } }] }
---
apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: shop, namespace: shop, generation: 7 }
spec:
  targetRefs: [{ group: networking.k8s.io, kind: Ingress, name: shop }, { group: networking.k8s.io, kind: Ingress, name: lost }]
  affinity: {}
`;

let folder: string;
let hub: RunningHub;
const stop = new AbortController();
let running: Promise<void> = Promise.resolve();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hg-status-'));
  hub = await startHub();
});

afterEach(async () => {
  stop.abort();
  await running;
  await hub[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function openAgent(): Promise<{ agent: ClusterAgent } & AsyncDisposable> {
  const ledger = await openLedger({ folder: join(folder, 'ledger'), keyFile: join(folder, 'key'), log: silentLog });
  const agent = new ClusterAgent({
    cluster: 'eu',
    clusterUid: 'uid-eu',
    version: 'test',
    source: directorySource({ folder: join(folder, 'manifests'), clock: systemClock, log: silentLog }),
    ledger,
    gateway: () => {
      throw new Error('no peer to probe');
    },
    clock: systemClock,
    log: silentLog,
  });
  return { agent, [Symbol.asyncDispose]: async () => await ledger[Symbol.asyncDispose]() };
}

test('a cluster agent learns what became of its objects, keeps it, and tells its nodes nothing of it', async () => {
  await mkdir(join(folder, 'manifests'));
  await writeFile(join(folder, 'manifests', 'shop.yaml'), manifests);
  {
    await using opened = await openAgent();
    const { agent } = opened;
    const { promise: told, resolve } = Promise.withResolvers<void>();
    agent.statuses.onChange(() => {
      if (agent.statuses.all.size === 2) resolve();
    });
    running = agent.run(stop.signal);
    await agent.listed;
    await hub.joinAgent('eu', agent);
    await told;
    expect(agent.statuses.all.get('TrafficPolicy/shop/shop')).toMatchObject({
      generation: 7n,
      findings: [{ accepted: true, reason: 'TargetNotFound', code: 'HG1008', field: 'spec.targetRefs[1]' }],
      fleet: 'in force in 1 of 1 cluster for 1 route',
    });
    expect(agent.statuses.all.get('Ingress/shop/shop')).toMatchObject({
      generation: 4n,
      findings: [{ accepted: true, reason: 'PartiallyProgrammed', code: 'HG1003' }],
    });
    expect([...agent.down.inventory.ofType('status')]).toEqual([]);
    expect([...agent.down.inventory.ofType('host')]).toHaveLength(1);
    stop.abort();
    await running;
  }
  // It starts anew while the hub is away.
  await using again = await openAgent();
  expect([...again.agent.statuses.all.keys()].sort()).toEqual(['Ingress/shop/shop', 'TrafficPolicy/shop/shop']);
  expect([...again.agent.down.inventory.ofType('status')]).toEqual([]);
});
