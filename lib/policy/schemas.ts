import { z } from 'zod';
import { MAX_SHARES } from '../split/types.ts';
import { backendFields, checkPassthrough } from './backend-fields.ts';
import { duration } from './duration.ts';
import { hostPattern, label } from './names.ts';

/** Group and version of every Headgate kind. */
export const API_VERSION = 'headgate.dev/v1alpha1';

const targetRef = z.strictObject({
  group: z.string().max(253),
  kind: z.enum(['Ingress', 'Namespace', 'Route']),
  name: z.string().min(1).max(1024),
});

const tierCluster = z
  .strictObject({
    name: label.optional(),
    selector: z.record(z.string(), z.string()).optional(),
    weight: z.int().min(0).max(1_000_000),
  })
  .refine(
    (entry) => (entry.name === undefined) !== (entry.selector === undefined),
    'needs exactly one of name and selector',
  );

const tier = z
  .strictObject({
    clusters: z.array(tierCluster).min(1).max(256),
    spillBelow: z.int().min(0).max(100).default(0),
    holdFor: duration.default(0),
  })
  .refine((value) => value.clusters.some((entry) => entry.weight > 0), {
    message: 'weights sum to 0',
    path: ['clusters'],
    params: { code: 'HG1009', remedy: 'give at least one cluster a weight, or cordon the clusters instead' },
  })
  .refine((value) => namesWithWeight(value.clusters).size <= MAX_SHARES, {
    message: `gives more than ${MAX_SHARES} clusters a weight`,
    path: ['clusters'],
    params: { code: 'HG5005', remedy: `name at most ${MAX_SHARES} with a weight; others may follow in a further tier` },
  });

function namesWithWeight(
  clusters: readonly { readonly name?: string | undefined; readonly weight: number }[],
): ReadonlySet<string> {
  return new Set(clusters.flatMap(({ name, weight }) => (name === undefined || weight === 0 ? [] : [name])));
}

const trafficFields = {
  exposure: z.enum(['Declared', 'Everywhere']).optional(),
  tiers: z.array(tier).min(1).max(16).optional(),
  onStale: z.strictObject({ after: duration, action: z.enum(['Keep', 'Deweight', 'Drop']) }).optional(),
  affinity: z
    .strictObject({
      cookie: z.boolean().default(true),
      drain: duration.default(600_000),
      endpoint: z.boolean().optional(),
    })
    .optional(),
  ...backendFields,
};

const trafficSection = z.strictObject(trafficFields).superRefine(checkPassthrough);

/** Fields written straight into spec are defaults. */
export const trafficPolicySpec = z
  .strictObject({
    targetRefs: z.array(targetRef).max(16).default([]),
    ...trafficFields,
    defaults: trafficSection.optional(),
    overrides: trafficSection.optional(),
  })
  .superRefine(checkPassthrough);

const hostClaimSpec = z.strictObject({
  hosts: z.array(hostPattern).min(1).max(256),
  namespaces: z.array(label).min(1).max(256),
  clusters: z.array(label).min(1).max(256).optional(),
});

export const clusterSpec = z.strictObject({
  labels: z.record(z.string(), z.string()).default({}),
  cordoned: z.boolean().default(false),
  grants: z
    .strictObject({
      policies: z.enum(['Fleet', 'Cluster']).default('Cluster'),
      namespaces: z.array(label).max(256).default([]),
    })
    .optional(),
});

export type TrafficPolicySpec = z.output<typeof trafficPolicySpec>;
export type HostClaimSpec = z.output<typeof hostClaimSpec>;
export type ClusterSpec = z.output<typeof clusterSpec>;
export type TierSpec = z.output<typeof tier>;

/**
 * The kinds this release honours. `scope` says where they may stand: HostClaim and Cluster at the hub only.
 * A kind of the design that is not here is refused by name, never ignored: some of them protect.
 */
export const policyKinds = {
  TrafficPolicy: { spec: trafficPolicySpec, namespaced: true, scope: 'anywhere' },
  HostClaim: { spec: hostClaimSpec, namespaced: false, scope: 'hub' },
  Cluster: { spec: clusterSpec, namespaced: false, scope: 'hub' },
} as const;

export type PolicyKind = keyof typeof policyKinds;

/** Kinds that the design names and this release refuses. */
export const laterKinds: ReadonlySet<string> = new Set(['TLSPolicy', 'RateLimitPolicy', 'AccessPolicy', 'Canary']);
