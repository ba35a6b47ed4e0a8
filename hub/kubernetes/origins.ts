import { z } from 'zod';
import type { ObjectRef } from '../../lib/manifest/manifest.ts';
import type { PolicyKind } from '../../lib/policy/schemas.ts';
import { keys } from '../store/keys.ts';
import type { Operation, Store } from '../store/store.ts';

/** Which custom resource a policy of the store came from, as it was last taken. */
export interface Origin {
  readonly uid: string;
  readonly generation: number;
}

const origin = z.object({ uid: z.string(), generation: z.number() });

/** The operation that belongs into the write of the policy. */
export function putOrigin(ref: ObjectRef, from: Origin): Operation {
  return { kind: 'put', key: originKey(ref), value: Buffer.from(JSON.stringify(from)) };
}

export function deleteOrigin(ref: ObjectRef): Operation {
  return { kind: 'delete', key: originKey(ref) };
}

/** undefined for a policy that did not come from a custom resource. */
export async function readOrigin(store: Store, ref: ObjectRef): Promise<Origin | undefined> {
  const entry = await store.get(originKey(ref));
  if (entry === undefined) return undefined;
  return origin.parse(JSON.parse(Buffer.from(entry.value).toString('utf8')));
}

/** Policies of a kind that came from custom resources. */
export async function withOrigin(store: Store, kind: PolicyKind): Promise<readonly ObjectRef[]> {
  const prefix = keys.originPrefix(kind);
  const { entries } = await store.range(prefix);
  return entries.map(({ key }) => {
    const [namespace = '', name = ''] = key.slice(prefix.length).split('/');
    return { kind, namespace: namespace === '-' ? '' : namespace, name };
  });
}

function originKey({ kind, namespace, name }: ObjectRef): string {
  return keys.origin(kind, namespace === '' ? '-' : namespace, name);
}
