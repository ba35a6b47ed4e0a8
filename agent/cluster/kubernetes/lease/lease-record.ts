import { z } from 'zod';
import type { KubernetesObject, ObjectName } from '../../../../lib/kubernetes/index.ts';

/** A Lease of coordination.k8s.io/v1, as far as an election reads it. */
export interface LeaseRecord {
  readonly resourceVersion: string;
  /** Empty while nobody holds it. */
  readonly holder: string;
  readonly durationMs: number;
  /** How often the holder changed: the number of the term. */
  readonly transitions: number;
  /** MicroTime of the holder's clock, kept as it is. */
  readonly acquired: string | undefined;
}

const shape = z.object({
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      leaseTransitions: z.number().nullish(),
      acquireTime: z.string().nullish(),
    })
    .nullish(),
});

/** One without a duration, as made by hand, lasts this long. */
const DEFAULT_SECONDS = 10;

/** @throws z.ZodError where it is no Lease */
export function leaseRecord(object: KubernetesObject): LeaseRecord {
  const { spec } = shape.parse(object);
  return {
    resourceVersion: object.metadata.resourceVersion ?? '',
    holder: spec?.holderIdentity ?? '',
    durationMs: (spec?.leaseDurationSeconds ?? DEFAULT_SECONDS) * 1_000,
    transitions: spec?.leaseTransitions ?? 0,
    acquired: spec?.acquireTime ?? undefined,
  };
}

export interface LeaseHolding {
  /** Empty to give it up. */
  readonly holder: string;
  readonly durationSeconds: number;
  readonly transitions: number;
  readonly acquired: string;
  readonly renewed: string;
}

/** @param resourceVersion that must still be the current one; undefined for a new Lease */
export function leaseObject(
  { namespace, name }: ObjectName,
  { holder, durationSeconds, transitions, acquired, renewed }: LeaseHolding,
  resourceVersion?: string,
): KubernetesObject {
  return {
    metadata: { namespace, name, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: durationSeconds,
      leaseTransitions: transitions,
      acquireTime: acquired,
      renewTime: renewed,
    },
  };
}
