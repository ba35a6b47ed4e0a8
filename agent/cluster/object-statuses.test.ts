import { expect, test } from 'vitest';
import { resource } from '../../lib/sync/index.ts';
import { ObjectStatus } from '../../proto/gen/headgate/v1/configured.ts';
import { ObjectStatuses } from './object-statuses.ts';

const host = resource('host', 'a.example', new Uint8Array());
const name = 'TrafficPolicy/shop/web';

function status(fleet: string) {
  const message = { kind: 'TrafficPolicy', namespace: 'shop', name: 'web', generation: 3n, findings: [], fleet };
  return { message, resource: resource('status', name, ObjectStatus.encode(message).finish()) };
}

test('statuses are kept and told; the rest goes on', () => {
  const statuses = new ObjectStatuses();
  const told: string[][] = [];
  const end = statuses.onChange((changed) => told.push([...changed]));
  const first = status('in force');
  expect(statuses.take({ upserts: [host, first.resource], removals: [] })).toEqual({ upserts: [host], removals: [] });
  expect(statuses.all).toEqual(new Map([[name, first.message]]));

  const key = { type: 'status', name };
  expect(statuses.take({ upserts: [], removals: [key, { type: 'host', name: 'b.example' }] })).toEqual({
    upserts: [],
    removals: [{ type: 'host', name: 'b.example' }],
  });
  expect(statuses.all.size).toBe(0);
  statuses.take({ upserts: [host], removals: [key] });
  expect(told).toEqual([[name], [name]]);

  end();
  statuses.take({ upserts: [first.resource], removals: [] });
  expect(told).toHaveLength(2);
});
