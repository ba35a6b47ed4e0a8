/*
 * A cluster agent's reading half as a process of its own: the source, and what the agent keeps of it for hub and nodes.
 * Prints a line when everything is listed, and one for each change of endpoints: JSON, with the time of day.
 */
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClusterAgent } from '../../../agent/cluster/cluster-agent.ts';
import { kubernetesSource } from '../../../agent/cluster/kubernetes/kubernetes-source.ts';
import { openLedger } from '../../../agent/ledger/open-ledger.ts';
import { systemClock as clock } from '../../../lib/clock.ts';
import { openKubernetesClient } from '../../../lib/kubernetes/index.ts';
import { createLog } from '../../../lib/log.ts';
import { Endpoints } from '../../../proto/gen/headgate/v1/configured.ts';

const log = createLog('bench', 'warn');
const started = performance.now();
const ended = new AbortController();
process.once('SIGTERM', () => ended.abort());
await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-source-'));
await using client = await openKubernetesClient({ kubeconfig: process.argv[2], clock });
await using ledger = await openLedger({ folder: join(folder.path, 'ledger'), keyFile: join(folder.path, 'key'), log });
const agent = new ClusterAgent({
  cluster: 'eu',
  clusterUid: 'bench',
  version: 'bench',
  source: kubernetesSource({ client, namespaces: [], clock, log }),
  ledger,
  gateway: () => {
    throw new Error('nobody is probed');
  },
  clock,
  log,
});

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

using _ = agent.down.subscribe({
  changed: (keys) => {
    if (!agent.isListed) return;
    const at = performance.timeOrigin + performance.now();
    for (const { type, name } of keys) {
      const body = type === 'endpoints' ? agent.down.inventory.get(type, name)?.body : undefined;
      if (body !== undefined) say({ name, addresses: Endpoints.decode(body).endpoints.map((one) => one.address), at });
    }
  },
});
const running = agent.run(ended.signal);
await Promise.race([agent.listed, running]);
const count = (type: string): number => [...agent.up.inventory.ofType(type)].length;
say({
  listed: Math.round(performance.now() - started),
  ingresses: count('ingress'),
  services: count('service'),
  slices: [...agent.down.inventory.ofType('endpoints')].length,
});
await running;
