import type { ResourceType } from '../domain/resource-types.ts';

/**
 * Make before break: a resource comes after everything that its body may name. Lower ranks are sent and take
 * effect first; removals follow all upserts, in the opposite order. Types of one direction need no order
 * against those of the other.
 */
const ranks = {
  settings: 0,
  'own-certificate': 1,
  peer: 2,
  backend: 3,
  endpoints: 4,
  split: 5,
  host: 7,
  status: 8,

  cluster: 0,
  node: 1,
  service: 2,
  certificate: 3,
  policy: 4,
  ingress: 5,
  verdict: 6,
  health: 6,
  problem: 7,
} as const satisfies Record<ResourceType, number>;

/** A type that this release does not know may be named by a host, so it comes just before. */
const unknownRank = 6;

function rankOf(type: string): number {
  return Object.hasOwn(ranks, type) ? ranks[type as ResourceType] : unknownRank;
}

/** Sorted by rank, keeping the order within one. */
export function makeBeforeBreak<T extends { readonly type: string }>(resources: readonly T[]): T[] {
  return resources.toSorted((a, b) => rankOf(a.type) - rankOf(b.type));
}

/** The order of removals. */
export function breakAfterMake<T extends { readonly type: string }>(keys: readonly T[]): T[] {
  return keys.toSorted((a, b) => rankOf(b.type) - rankOf(a.type));
}
