import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { generalRemedy } from '../../lib/error-guide.ts';
import { silentLog } from '../../lib/log.ts';
import type { AcceptedDelta, Resource } from '../../lib/sync/index.ts';
import { BackendHealth, NodeInfo, type Rejection, Verdict } from '../../proto/gen/headgate/v1/reported.ts';
import { shortKeyLeaf } from '../haproxy/testing/certificates.fixture.ts';
import { PlaneBench, service } from '../haproxy/testing/plane.fixture.ts';
import { certificate, host } from '../haproxy/testing/resources.fixture.ts';
import { openLedger } from '../ledger/open-ledger.ts';
import { NodeAgent } from './node-agent.ts';

const nothing: AcceptedDelta = {
  epoch: { counter: 1n, id: 'x' },
  revision: 1n,
  upserts: [],
  removals: [],
  endOfSnapshot: true,
};

/** A node agent over a real ledger and a real HAProxy, until the stack goes. */
async function startAgent(stack: AsyncDisposableStack): Promise<NodeAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'hg-na-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const ledger = stack.use(
    await openLedger({ folder: join(folder, 'ledger'), keyFile: join(folder, 'key'), log: silentLog }),
  );
  const bench = stack.use(await PlaneBench.make());
  const dataPlane = await bench.start([]);
  const gatewayAddress = () => dataPlane.status().gateway;
  const common = { clock: systemClock, log: silentLog };
  return new NodeAgent({ node: 'n1', version: '1', gatewayAddress, ledger, dataPlane, ...common });
}

function rejectionOf(agent: NodeAgent, { type, name }: Resource): Rejection | undefined {
  const verdict = agent.up.inventory.get('verdict', `${type}/${name}`);
  return verdict === undefined ? undefined : Verdict.decode(verdict.body).rejections[0];
}

test('a rejection names field and remedy, and has HAProxy’s words where it refused', async () => {
  await using stack = new AsyncDisposableStack();
  const agent = await startAgent(stack);
  const slow = { timeouts: { connectMs: 1n << 40n } };
  const wrong = host('wrong.example', [{ path: '/', at: { eu: 'shop/web/80' }, settings: slow }]);
  const weak = certificate('shop/weak', ['right.example'], await shortKeyLeaf('right.example'));
  const upserts = [...service('right', [9]), wrong, weak];
  expect(await agent.sink().accept({ ...nothing, upserts })).toEqual([]);
  await agent.settled();
  expect(rejectionOf(agent, wrong)).toMatchObject({
    node: 'n1',
    code: 'HG1002',
    field: 'routes[0].backendSettings.timeouts.connect',
    remedy: generalRemedy('HG1002'),
    haproxy: '',
  });
  expect(rejectionOf(agent, weak)).toMatchObject({ code: 'HG5003', field: '', remedy: generalRemedy('HG5003') });
  expect(rejectionOf(agent, weak)?.haproxy).not.toBe('');
  expect([...agent.up.inventory.ofType('verdict')]).toHaveLength(2);
});

const out = (...names: string[]) => new Map(names.map((backend) => [backend, { backend, live: 1, total: 3 }]));

test('backends with endpoints out are told, and are told no longer when all is well', async () => {
  await using stack = new AsyncDisposableStack();
  const agent = await startAgent(stack);
  const health = () => [...agent.up.inventory.ofType('health')].map(({ body }) => BackendHealth.decode(body));
  agent.tellHealth(out('shop/web/80', 'shop/api/http'));
  expect(health()).toMatchObject([
    { namespace: 'shop', service: 'web', port: '80', impaired: [{ node: 'n1', live: 1, total: 3 }] },
    { namespace: 'shop', service: 'api', port: 'http' },
  ]);
  agent.tellHealth(out('shop/api/http'));
  expect(health().map(({ service: name }) => name)).toEqual(['api']);
  agent.tellHealth(out());
  expect(health()).toEqual([]);
});

test('a node that is to end is not ready: what needs no reload still goes live, what needs one waits', async () => {
  await using stack = new AsyncDisposableStack();
  const agent = await startAgent(stack);
  agent.leave();
  const ready = [...agent.up.inventory.ofType('node')].map(({ body }) => NodeInfo.decode(body).ready);
  expect(ready).toEqual([false]);
  const give = async (upserts: readonly Resource[]) => {
    await agent.sink().accept({ ...nothing, upserts });
    await agent.settled();
    return upserts.flatMap((one) => rejectionOf(agent, one) ?? []);
  };
  expect(await give(service('one', [9]))).toEqual([]);
  // More than there are spare backends.
  const rejections = await give(Array.from({ length: 80 }, (_, i) => service(`many${i}`, [9])).flat());
  expect(rejections[0]).toMatchObject({ code: 'HG5004', transient: true, message: expect.stringContaining('end') });
});
