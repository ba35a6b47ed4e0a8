import { Policy } from '../../proto/gen/headgate/v1/reported.ts';
import { keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';

/** Store key of a hub policy; the namespace is empty for kinds without one. */
export function policyKey(kind: string, namespace: string, name: string): string {
  return keys.policy(kind, namespace === '' ? '-' : namespace, name);
}

/** Specs of the hub's policies as they were written, by store key. */
export async function writtenSpecs(store: Store): Promise<ReadonlyMap<string, unknown>> {
  const { entries } = await store.range('policy/');
  return new Map(entries.map(({ key, value }) => [key, JSON.parse(Policy.decode(value).specJson) as unknown]));
}
