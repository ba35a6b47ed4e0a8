import { z } from 'zod';
import { HeadgateError } from '../../lib/errors.ts';
import { type PolicyKind, policyKinds } from '../../lib/policy/schemas.ts';
import { Policy } from '../../proto/gen/headgate/v1/reported.ts';
import { issuerPin } from '../certificates/issuer-pin.ts';
import type { Entry } from '../store/store.ts';
import type { ClusterRecord, CommittedPolicy, GuardRecord, OwnershipRecord } from './state.ts';

const ownership = z.object({ host: z.string(), namespace: z.string(), releasedAt: z.number().optional() });
const cluster = z.object({ name: z.string(), uid: z.string().optional(), pin: issuerPin.optional() });
const guard = z.object({
  id: z.string(),
  cluster: z.string(),
  guard: z.literal('shrink'),
  message: z.string(),
  holds: z.array(z.string()),
});

/** The same shape without keys that hold undefined. */
export function decodeOwnership(entry: Entry): OwnershipRecord {
  const { releasedAt, ...record } = decodeJson(entry, ownership);
  return releasedAt === undefined ? record : { ...record, releasedAt };
}

export function decodeCluster(entry: Entry): ClusterRecord {
  const { name, uid, pin } = decodeJson(entry, cluster);
  return { name, uid, pin };
}

export function decodeGuard(entry: Entry): GuardRecord {
  return decodeJson(entry, guard);
}

/** Checks a policy's spec by its kind's schema; throws HG4003 where it does not fit. */
export function decodePolicy<K extends PolicyKind>(
  kind: K,
  value: Uint8Array,
  committed: Pick<Entry, 'key' | 'createRevision' | 'modRevision'>,
  clusterScope: string | undefined,
): CommittedPolicy<z.output<(typeof policyKinds)[K]['spec']>> {
  try {
    const message = Policy.decode(value);
    if (message.kind !== kind) throw new Error(`the value is a ${message.kind}`);
    const spec = policyKinds[kind].spec.parse(JSON.parse(message.specJson));
    return {
      value: spec as z.output<(typeof policyKinds)[K]['spec']>,
      createRevision: committed.createRevision,
      modRevision: committed.modRevision,
      kind,
      namespace: message.namespace,
      name: message.name,
      generation: message.generation,
      clusterScope,
    };
  } catch (thrown) {
    throw corrupt(committed.key, thrown);
  }
}

export function corrupt(key: string, cause: unknown): HeadgateError {
  return new HeadgateError('HG4003', `the stored value of '${key}' cannot be used`, { cause });
}

function decodeJson<T>(entry: Entry, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(entry.value).toString('utf8')));
  } catch (thrown) {
    throw corrupt(entry.key, thrown);
  }
}
