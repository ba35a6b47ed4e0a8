import { expect, test } from 'vitest';
import { backend, endpoints, host } from '../testing/resources.fixture.ts';
import { Planner } from './planner.ts';

const addresses = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `10.1.${(from + i) >> 8}.${(from + i) & 255}`);

function planner(): Planner {
  const one = new Planner({
    cluster: 'eu',
    assignments: { slots: 64, profiles: [], peerSlots: 16, backends: new Map(), peers: new Map() },
  });
  const upserts = [host('shop.example', [{ path: '/', at: { eu: 'd/shop/80' } }]), backend('d/shop/80')];
  one.apply({ upserts, removals: [] });
  return one;
}

test.each([
  [1_000, undefined],
  [1_001, 'many-servers'],
])('%i servers at once: reload %s', (count, reload) => {
  const change = planner().apply({ upserts: [endpoints('d/shop', 80, addresses(count))], removals: [] });
  expect(change.reload).toBe(reload);
});

test('a slice that would give a service too many endpoints is refused, and the others stand', () => {
  const one = planner();
  const slices = [endpoints('d/shop', 80, addresses(9_990)), endpoints('d/shop', 80, addresses(11, 20_000), [], 'b')];
  expect(one.apply({ upserts: slices, removals: [] }).rejections).toMatchObject([
    {
      key: { name: 'd/shop-b' },
      code: 'HG5005',
      message: 'the service has 10001 endpoints, more than 10000',
    },
  ]);
  expect(one.desired.slots.map(({ servers }) => servers.size).filter((size) => size > 0)).toEqual([9_990]);
  const fewer = endpoints('d/shop', 80, addresses(10, 20_000), [], 'b');
  expect(one.apply({ upserts: [fewer], removals: [] }).rejections).toEqual([]);
});
