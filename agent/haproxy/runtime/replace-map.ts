import type { OwnedOp } from '../model/change.ts';
import type { Desired } from '../model/desired.ts';
import type { MapName } from '../model/names.ts';
import { addMapEntries, commitMap, prepareMap, preparedVersion } from '../render/commands.ts';
import type { RuntimeClient } from './client.ts';

/**
 * Where a change of one key costs as much as the map is long (HAProxy 2.6), so many changes to a long map are made
 * by a new version of it. Measured on 2.6.12: setting a key takes 24–150 ns and deleting one 14–60 ns per entry of
 * the map, an entry of a new version 7–13 µs; so they cost the same at 90–500 changes, whatever the length. In 3.0 and
 * 3.2 a change costs 10–80 µs at any length, and a new version never pays.
 */
const CHANGES = 100;
/** Below this nothing is worth it. */
const ENTRIES = 1_000;

type MapOp = OwnedOp & { readonly op: { readonly kind: 'map-set' | 'map-delete' } };

/** The maps that are cheaper to replace than to change, each with the operations that this does. */
export function mapsToReplace(ops: readonly OwnedOp[], { maps }: Pick<Desired, 'maps'>): Map<MapName, MapOp[]> {
  const found = new Map<MapName, MapOp[]>();
  const changes = new Map<MapName, number>();
  for (const owned of ops) {
    if (!isOfMap(owned)) continue;
    const { op } = owned;
    const before = found.get(op.map);
    if (before === undefined) found.set(op.map, [owned]);
    else before.push(owned);
    // New keys are cheap everywhere.
    if (op.kind === 'map-delete' || !op.isNew) changes.set(op.map, (changes.get(op.map) ?? 0) + 1);
  }
  for (const map of found.keys()) {
    if ((changes.get(map) ?? 0) < CHANGES || maps[map].size < ENTRIES) found.delete(map);
  }
  return found;
}

export function isOfMap(owned: OwnedOp): owned is MapOp {
  return owned.op.kind === 'map-set' || owned.op.kind === 'map-delete';
}

/**
 * Makes a worker's map hold these entries, all at once for whoever looks something up.
 *
 * @returns the first refused command with HAProxy's words. @throws HG5003 where the worker went away.
 */
export async function replaceMap(
  client: RuntimeClient,
  map: MapName,
  entries: Iterable<readonly [string, string]>,
): Promise<{ readonly command: string; readonly words: string } | undefined> {
  const prepared = (await client.send([prepareMap(map)]))[0];
  const version = preparedVersion(prepared?.text ?? '');
  if (version === undefined) return { command: `prepare map ${map}`, words: prepared?.text ?? '' };
  const refused = (await client.send(addMapEntries(map, entries, version))).find(({ ok }) => !ok);
  if (refused !== undefined) return { command: `add map @${version} ${map}`, words: refused.text };
  const committed = (await client.send([commitMap(map, version)]))[0];
  return committed?.ok === true ? undefined : { command: `commit map ${map}`, words: committed?.text ?? '' };
}
