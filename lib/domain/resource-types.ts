/** Every resource type, which way it travels and its one authority (the only room that writes it). */
export const resourceTypes = {
  // down
  host: { direction: 'down', authority: 'hub' },
  backend: { direction: 'down', authority: 'hub' },
  peer: { direction: 'down', authority: 'hub' },
  settings: { direction: 'down', authority: 'hub' },
  /** For the cluster agent itself. */
  status: { direction: 'down', authority: 'hub' },
  endpoints: { direction: 'down', authority: 'cluster' },
  'own-certificate': { direction: 'down', authority: 'cluster' },
  // down to the nodes and up to the hub
  split: { direction: 'both', authority: 'cluster' },
  // up
  cluster: { direction: 'up', authority: 'cluster' },
  ingress: { direction: 'up', authority: 'cluster' },
  service: { direction: 'up', authority: 'cluster' },
  policy: { direction: 'up', authority: 'cluster' },
  certificate: { direction: 'up', authority: 'cluster' },
  problem: { direction: 'up', authority: 'cluster' },
  node: { direction: 'up', authority: 'node' },
  verdict: { direction: 'up', authority: 'node' },
  health: { direction: 'up', authority: 'node' },
} as const satisfies Record<string, { direction: 'up' | 'down' | 'both'; authority: 'hub' | 'cluster' | 'node' }>;

export type ResourceType = keyof typeof resourceTypes;

export type ResourceAuthority = (typeof resourceTypes)[ResourceType]['authority'];

/** Whether one of these may write resources of a type; a type that this release does not know may come from anyone. */
export function mayWrite(authorities: readonly ResourceAuthority[], type: string): boolean {
  return !Object.hasOwn(resourceTypes, type) || authorities.includes(resourceTypes[type as ResourceType].authority);
}

/** Types whose bodies hold private keys: sealed at rest, never logged, never in a diff. */
export const secretTypes: ReadonlySet<string> = new Set<ResourceType>(['own-certificate']);
