/**
 * The store's layout. Every key is built here and nowhere else; parts are joined by '/', and a part that may
 * hold '/' stands last.
 */
export const keys = {
  /** Reported resource: StoredReport. */
  report: (cluster: string, type: string, name: string) => `report/${cluster}/${type}/${name}`,
  reportPrefix: (cluster?: string) => (cluster === undefined ? 'report/' : `report/${cluster}/`),
  /** A report's removal that a guard holds: the StoredReport as it was. */
  held: (guard: string, cluster: string, type: string, name: string) => `held/${guard}/${cluster}/${type}/${name}`,
  heldPrefix: (guard?: string) => (guard === undefined ? 'held/' : `held/${guard}/`),
  /** JSON GuardRecord. */
  guard: (id: string) => `guard/${id}`,
  /** JSON OwnershipRecord. */
  owner: (host: string) => `owner/${host}`,
  /** Policy message; hub policies and Cluster objects. Namespace '-' for cluster-scoped kinds. */
  policy: (kind: string, namespace: string, name: string) => `policy/${kind}/${namespace}/${name}`,
  /** JSON Origin: the custom resource that a hub policy came from. */
  origin: (kind: string, namespace: string, name: string) => `origin/${kind}/${namespace}/${name}`,
  originPrefix: (kind: string) => `origin/${kind}/`,
  /** JSON ClusterRecord. */
  cluster: (name: string) => `cluster/${name}`,
  /** JSON TokenRecord, by the token's public id. */
  token: (id: string) => `token/${id}`,
  tokenPrefix: 'token/',
  /** JSON: a ServiceAccount token in use, by the digest of what is signed of it. */
  attested: (digest: string) => `attested/${digest}`,
  /** JSON AuthorityRecord: the fleet's CAs, keys sealed. */
  authority: (name: string) => `authority/${name}`,
  /** JSON RevocationRecord; subject is cluster/<name>, node/<cluster>/<node> or serial/<hex>. */
  revoked: (subject: string) => `revoked/${subject}`,
  revokedPrefix: 'revoked/',
  /** The replica that leads, under its lease. */
  leader: 'leader',
  /** JSON AuditRecord; ids rise. */
  audit: (id: string) => `audit/${id}`,
} as const;

/** Reads a key of `keys.report`; undefined for any other. */
export function parseReportKey(key: string): { cluster: string; type: string; name: string } | undefined {
  const [prefix, cluster, type, ...name] = key.split('/');
  if (prefix !== 'report' || cluster === undefined || type === undefined || name.length === 0) return undefined;
  return { cluster, type, name: name.join('/') };
}

/** Reads a key of `keys.held`; undefined for any other. */
export function parseHeldKey(key: string): { guard: string; cluster: string; type: string; name: string } | undefined {
  const [prefix, guard, cluster, type, ...name] = key.split('/');
  if (prefix !== 'held' || guard === undefined || cluster === undefined || type === undefined || name.length === 0)
    return undefined;
  return { guard, cluster, type, name: name.join('/') };
}
