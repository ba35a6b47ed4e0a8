/**
 * A node agent's core as a process to be killed: a ledger, a data plane, and one change after another. Arguments:
 * folder, revision that the one before said it had committed, HAProxy. Prints `agrees MS` or `differs WHAT` once it has
 * started, then the revision of each change that the ledger holds.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDataPlane } from '../../agent/haproxy/haproxy-data-plane.ts';
import { sockets } from '../../agent/haproxy/model/names.ts';
import { Planner } from '../../agent/haproxy/plan/planner.ts';
import { parseState, STATE_FILE } from '../../agent/haproxy/process/state-file.ts';
import { mapFile, mapNames } from '../../agent/haproxy/model/names.ts';
import { RuntimeClient } from '../../agent/haproxy/runtime/client.ts';
import { compare } from '../../agent/haproxy/runtime/compare.ts';
import { observe } from '../../agent/haproxy/runtime/observe.ts';
import { anyListeners, service } from '../../agent/haproxy/testing/plane.fixture.ts';
import { certificate, endpoints, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { Inventory } from '../../lib/sync/index.ts';
import type { ResourceDelta } from '../../lib/sync/index.ts';

interface Leaf {
  readonly certificate: string;
  readonly key: string;
}

/** What is on disk beside it before the first start. */
interface Setup {
  readonly gateway: { readonly certificate: string; readonly privateKey: string; readonly ca: string };
  readonly leaves: readonly Leaf[];
}

const SERVICES = 40;

const [, , folder = '', told = '0', haproxy = ''] = process.argv;
const setup = JSON.parse(readFileSync(join(folder, 'setup.json'), 'utf8')) as Setup;
const began = performance.now();
const ledger = await openLedger({ folder: join(folder, 'ledger'), keyFile: join(folder, 'key'), log: silentLog });
const plane = await openDataPlane(
  {
    cluster: 'eu',
    node: 'n1',
    folder: join(folder, 'haproxy'),
    haproxy,
    listeners: anyListeners,
    gateway: setup.gateway,
    spares: 64,
  },
  { clock: systemClock, log: silentLog, signal: new AbortController().signal },
);
await plane.start(ledger.inventory);
const ms = performance.now() - began;
const fault = await difference();
process.stdout.write(fault === undefined ? `agrees ${Math.round(ms)}\n` : `differs ${fault}\n`);

for (let revision = Number(ledger.held()?.revision ?? 0n) + 1; ; revision++) {
  const delta = change(revision);
  const epoch = { counter: 1n, id: 'test' };
  await ledger.commit({ ...delta, epoch, revision: BigInt(revision), endOfSnapshot: true });
  process.stdout.write(`${revision}\n`);
  await plane.apply(delta);
}

/** What HAProxy or its files hold otherwise than the ledger says. */
async function difference(): Promise<string | undefined> {
  const held = Number(ledger.held()?.revision ?? 0n);
  if (held < Number(told)) return `the ledger is at ${held} and had said ${told}`;
  const root = join(folder, 'haproxy');
  const state = parseState(readFileSync(join(root, STATE_FILE), 'utf8'));
  if (state === undefined) return 'there is no state file';
  const planner = new Planner({ cluster: 'eu', assignments: state });
  const all = new Inventory();
  for (const one of ledger.inventory.all()) all.set(one);
  planner.apply({ upserts: [...all.all()], removals: [] });
  await using client = new RuntimeClient(join(root, sockets.worker));
  const { missingBackends, ops } = compare(planner.desired, await observe(client));
  if (missingBackends.length > 0) return `backends are missing: ${missingBackends.join(' ')}`;
  if (ops[0] !== undefined) return `${ops.length} operations are missing, the first is ${JSON.stringify(ops[0])}`;
  for (const name of [...mapNames.map(mapFile), ...planner.desired.certificates.keys()]) {
    const map = mapNames.find((one) => mapFile(one) === name);
    const wanted = map === undefined ? planner.desired.certificates.get(name)?.pem : planner.desired.maps[map].text();
    if (readFileSync(join(root, name), 'utf8') !== wanted) return `${name} differs`;
  }
  return undefined;
}

/** One of every kind of change in turn, over and over the same services. */
function change(n: number): ResourceDelta {
  const i = Math.floor(n / 6) % SERVICES;
  const name = `s${i}`;
  const host = `${name}.example`;
  const leaf = setup.leaves[n % setup.leaves.length];
  switch (n % 6) {
    case 0:
      return { upserts: service(name, [8_000 + (n % 50)]), removals: [] };
    case 1:
      return {
        upserts: [endpoints(`shop/${name}`, 9_000 + (n % 50), ['127.0.0.1', '127.0.0.2'], [], 'slice0')],
        removals: [],
      };
    case 2:
      return { upserts: leaf === undefined ? [] : [certificate(`shop/${name}`, [host], leaf)], removals: [] };
    case 3:
      return {
        upserts: [split(host, [{ path: '/', shares: n % 4 === 0 ? [] : [{ cluster: 'eu', share: 100_000 }] }])],
        removals: [],
      };
    case 4:
      return {
        upserts: leaf === undefined ? [] : [certificate(`shop/${name}`, [host], leaf)],
        removals: [{ type: 'split', name: host }],
      };
    default: {
      // The service from half a turn ago goes.
      const gone = `s${(i + SERVICES / 2) % SERVICES}`;
      const keys = [
        { type: 'host', name: `${gone}.example` },
        { type: 'own-certificate', name: `shop/${gone}` },
        { type: 'backend', name: `shop/${gone}/80` },
        { type: 'endpoints', name: `shop/${gone}-slice0` },
      ];
      return { upserts: [], removals: keys.filter((key) => ledger.inventory.get(key.type, key.name) !== undefined) };
    }
  }
}
