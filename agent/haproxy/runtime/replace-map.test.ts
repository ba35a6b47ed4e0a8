import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../../lib/clock.ts';
import type { OwnedOp } from '../model/change.ts';
import { MapTable } from '../model/map-table.ts';
import { mapFile, mapNames, sockets } from '../model/names.ts';
import type { MapName } from '../model/names.ts';
import { PlaneBench } from '../testing/plane.fixture.ts';
import { RuntimeClient } from './client.ts';
import { Executor } from './executor.ts';
import { parseMap } from './observe.ts';
import { mapsToReplace } from './replace-map.ts';

const resource = { type: 'host', name: 'a.example' };

function tables(entries: number): Record<MapName, MapTable> {
  const maps = Object.fromEntries(mapNames.map((name) => [name, new MapTable()])) as Record<MapName, MapTable>;
  for (let i = 0; i < entries; i++) maps.tag.set(`key-${i}`, `value-${i}`);
  return maps;
}

function sets(count: number, isNew: boolean): OwnedOp[] {
  return Array.from({ length: count }, (_, i) => ({
    op: { kind: 'map-set', map: 'tag', key: `key-${i}`, value: `value-${i}`, isNew },
    resource,
  }));
}

it.each([
  [100, 1_000, false, true],
  [99, 1_000, false, false],
  [100, 999, false, false],
  [900, 1_000, true, false],
])('%i changes to a map of %i entries, new: %s; replace it: %s', (changes, entries, isNew, replaced) => {
  expect(mapsToReplace(sets(changes, isNew), { maps: tables(entries) }).has('tag')).toBe(replaced);
});

it('a map that is replaced holds what is desired, every look-up before and after included', async () => {
  await using bench = await PlaneBench.make();
  await bench.start([]);
  await using client = new RuntimeClient(join(bench.folder, sockets.worker));
  const maps = tables(2_000);
  const executor = new Executor(client, systemClock, { maps });
  executor.slowMaps = true;
  expect(await executor.run(sets(2_000, true))).toEqual([]);
  const ops: OwnedOp[] = [];
  for (let i = 0; i < 300; i++) {
    maps.tag.set(`key-${i}`, 'next');
    ops.push({ op: { kind: 'map-set', map: 'tag', key: `key-${i}`, value: 'next', isNew: false }, resource });
  }
  for (let i = 1_000; i < 1_300; i++) {
    maps.tag.delete(`key-${i}`);
    ops.push({ op: { kind: 'map-delete', map: 'tag', key: `key-${i}` }, resource });
  }
  maps.host.set('b.example', 'id');
  ops.push({ op: { kind: 'map-set', map: 'host', key: 'b.example', value: 'id', isNew: true }, resource });
  const before = client.counts.ok;
  expect(await executor.run(ops)).toEqual([]);
  // Prepare, a few payloads, commit, and the one of the other map.
  expect(client.counts.ok - before).toBeLessThan(20);
  const held = parseMap(await client.ask(`show map ${mapFile('tag')}`));
  expect(held.entries).toEqual(new Map(maps.tag));
  expect(held.repeated.size).toBe(0);
  expect(parseMap(await client.ask(`show map ${mapFile('host')}`)).entries.get('b.example')).toBe('id');
});
