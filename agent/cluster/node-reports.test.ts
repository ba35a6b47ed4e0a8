import { test } from 'vitest';
import { type AcceptedDelta, Publication, resource } from '../../lib/sync/index.ts';
import { NodeInfo, Verdict } from '../../proto/gen/headgate/v1/reported.ts';
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
