/** Who a certificate of the control CA speaks for. */
export type Identity =
  | { readonly kind: 'hub'; readonly fleet: string; readonly id: string }
  | { readonly kind: 'cluster'; readonly fleet: string; readonly cluster: string }
  | { readonly kind: 'node'; readonly fleet: string; readonly cluster: string; readonly node: string };

/** RFC 1123 label: fleets, clusters, nodes and hub ids are named by one. */
export const labelPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export function isLabel(text: string): boolean {
  return labelPattern.test(text);
}

/**
 * Reads `spiffe://<fleet>/hub/<id>`, `…/cluster/<cluster>/agent` or `…/cluster/<cluster>/node/<node>`.
 * Anything else, another spelling of the same URI included, is no identity.
 */
export function parseSpiffe(uri: string): Identity | undefined {
  if (!uri.startsWith('spiffe://')) return undefined;
  const parts = uri.slice('spiffe://'.length).split('/');
  const [fleet = '', group, name = '', leaf, node = ''] = parts;
  if (!isLabel(fleet) || !isLabel(name)) return undefined;
  if (group === 'hub' && parts.length === 3) return { kind: 'hub', fleet, id: name };
  if (group !== 'cluster') return undefined;
  if (leaf === 'agent' && parts.length === 4) return { kind: 'cluster', fleet, cluster: name };
  if (leaf === 'node' && parts.length === 5 && isLabel(node)) return { kind: 'node', fleet, cluster: name, node };
  return undefined;
}

/** The URI SAN that `parseSpiffe` reads back. */
export function formatSpiffe(identity: Identity): string {
  switch (identity.kind) {
    case 'hub':
      return `spiffe://${identity.fleet}/hub/${identity.id}`;
    case 'cluster':
      return `spiffe://${identity.fleet}/cluster/${identity.cluster}/agent`;
    case 'node':
      return `spiffe://${identity.fleet}/cluster/${identity.cluster}/node/${identity.node}`;
    default:
      return identity satisfies never;
  }
}

/** CN of the CA that a cluster's agent issues its nodes' control leaves from. */
export function nodeIssuerName(cluster: string): string {
  return `nodes of ${cluster}`;
}
