import { test } from 'vitest';
import { type AcceptedDelta, Publication, resource } from '../../lib/sync/index.ts';
import { BackendHealth, NodeInfo, Verdict } from '../../proto/gen/headgate/v1/reported.ts';
import { NodeReports } from './node-reports.ts';
import { VirtualClock } from '../../lib/virtual-clock.fixture.ts';

const rejected = (node: string, code = 'HG5003') =>
  resource(
    'verdict',
    'host/shop.example',
    Verdict.encode({
      type: 'host',
      name: 'shop.example',
      digest: Buffer.alloc(32),
      programmed: 0,
      nodes: 1,
      rejections: [{ node, code, message: 'refused', haproxy: '', transient: false, field: '', remedy: '' }],
    }).finish(),
  );

const delta = (change: Partial<AcceptedDelta>): AcceptedDelta => ({
  epoch: { counter: 0n, id: '' },
  revision: 0n,
  upserts: [],
  removals: [],
  endOfSnapshot: false,
  ...change,
});

test('a verdict is summed over nodes, each under the name of its session', async ({ expect }) => {
  const up = new Publication();
  const reports = new NodeReports(up);
  const [n1, n2] = [reports.sink('n1'), reports.sink('n2')];
  const summed = () => {
    const one = up.inventory.get('verdict', 'host/shop.example');
    return one === undefined ? undefined : Verdict.decode(one.body);
  };
  await n1.accept(delta({ upserts: [rejected('somebody-else')] }));
  expect(summed()).toMatchObject({ nodes: 2, programmed: 1, rejections: [{ node: 'n1' }] });
  await n2.accept(delta({ upserts: [rejected('n2', 'HG1002')] }));
  expect(summed()).toMatchObject({ nodes: 2, programmed: 0, rejections: [{ node: 'n1' }, { node: 'n2' }] });
  await n1.accept(delta({ removals: [{ type: 'verdict', name: 'host/shop.example' }] }));
  expect(summed()).toMatchObject({ programmed: 1, rejections: [{ node: 'n2' }] });
  await n2.accept(delta({ removals: [{ type: 'verdict', name: 'host/shop.example' }] }));
  expect(summed()).toBeUndefined();
});

const info = (name: string) => resource('node', name, NodeInfo.encode(NodeInfo.fromPartial({ name })).finish());

test('a node that stays away is forgotten, one that comes back is not', async ({ expect }) => {
  const up = new Publication();
  const reports = new NodeReports(up);
  const clock = new VirtualClock();
  const { signal } = new AbortController();
  const first = reports.opened('n1', clock, signal);
  await reports.sink('n1').accept(delta({ upserts: [info('n1'), rejected('n1')] }));
  reports.opened('n2', clock, signal);
  await reports.sink('n2').accept(delta({ upserts: [info('n2')] }));
  first[Symbol.dispose]();
  const second = reports.opened('n1', clock, signal);
  await clock.advance(200_000);
  expect(up.inventory.get('node', 'n1')).toBeDefined();
  second[Symbol.dispose]();
  await clock.advance(200_000);
  expect(up.inventory.get('node', 'n1')).toBeUndefined();
  expect(up.inventory.get('verdict', 'host/shop.example')).toBeUndefined();
  expect(up.inventory.get('node', 'n2')).toBeDefined();
});

test('a node that comes and goes is forgotten so long after its last going, by one timer', async ({ expect }) => {
  const up = new Publication();
  const reports = new NodeReports(up);
  const clock = new VirtualClock();
  const { signal } = new AbortController();
  for (let i = 0; i < 3; i++) {
    const stream = reports.opened('n1', clock, signal);
    await reports.sink('n1').accept(delta({ upserts: [info('n1')] }));
    stream[Symbol.dispose]();
    await clock.advance(50_000);
    expect(clock.sleepers).toBe(1);
  }
  expect(up.inventory.get('node', 'n1')).toBeDefined();
  await clock.advance(70_000);
  expect(up.inventory.get('node', 'n1')).toBeUndefined();
  expect(clock.sleepers).toBe(0);
});

const impaired = (live: number, node = 'somebody-else') =>
  resource(
    'health',
    'shop/web/80',
    BackendHealth.encode({
      namespace: 'shop',
      service: 'web',
      port: '80',
      nodes: 1,
      impaired: [{ node, live, total: 3 }],
    }).finish(),
  );
const well = { removals: [{ type: 'health', name: 'shop/web/80' }] };

test('health is told once a second, by node, and goes when all is well or its node is forgotten', async ({
  expect,
}) => {
  const up = new Publication();
  const reports = new NodeReports(up);
  const clock = new VirtualClock();
  const { signal } = new AbortController();
  let told = 0;
  up.subscribe({ changed: () => told++ });
  const streams = ['n2', 'n1'].map((node) => reports.opened(node, clock, signal));
  const [n2, n1] = [reports.sink('n2'), reports.sink('n1')];
  const summed = () => {
    const one = up.inventory.get('health', 'shop/web/80');
    return one === undefined ? undefined : BackendHealth.decode(one.body);
  };
  await n2.accept(delta({ upserts: [impaired(2)] }));
  expect(summed()).toMatchObject({ nodes: 2, impaired: [{ node: 'n2', live: 2, total: 3 }] });
  for (const live of [2, 1, 0]) await n1.accept(delta({ upserts: [impaired(live)] }));
  await n2.accept(delta({ upserts: [impaired(1)] }));
  expect(told).toBe(1);
  await clock.advance(1_000);
  expect(told).toBe(2);
  expect(summed()).toMatchObject({
    impaired: [
      { node: 'n1', live: 0 },
      { node: 'n2', live: 1 },
    ],
  });
  await n1.accept(delta(well));
  await clock.advance(1_000);
  expect(summed()?.impaired.map(({ node }) => node)).toEqual(['n2']);
  streams[0]?.[Symbol.dispose]();
  await clock.advance(130_000);
  expect(summed()).toBeUndefined();
  await n1.accept(delta({ upserts: [impaired(2)] }));
  await n1.accept(delta(well));
  await clock.advance(1_000);
  expect(summed()).toBeUndefined();
});
