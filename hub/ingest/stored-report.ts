import { StoredReport as Message } from '../../proto/gen/headgate/store/v1/stored_report.ts';
import { type IngressRule, Ingress } from '../../proto/gen/headgate/v1/reported.ts';
import { PathType } from '../../proto/gen/headgate/v1/configured.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Resource } from '../../lib/sync/index.ts';
import { claimKey, type CommittedIngress } from '../fleet/state.ts';
import type { Entry } from '../store/store.ts';

/** A reported resource as the store keeps it, under keys.report or keys.held. */
export interface StoredReport {
  /** As the agent sent it. */
  readonly resource: Resource;
  /** Order of first commit; survives edits, and a hold and its release. */
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** Ingress: claims older than `modRevision`, by claimKey. */
  readonly ages: ReadonlyMap<string, bigint>;
  /** Ingress: rules that an edit dropped and a guard holds. */
  readonly kept: { readonly rules: readonly IngressRule[]; readonly guard: string } | undefined;
}

/** What is written; the revisions of the transaction that writes it are not known yet. */
export interface UnstoredReport {
  readonly resource: Resource;
  /** undefined: what the entry will have. */
  readonly createRevision?: bigint | undefined;
  readonly ages?: ReadonlyMap<string, bigint>;
  readonly kept?: StoredReport['kept'];
}

export function encodeStoredReport({ resource, createRevision, ages, kept }: UnstoredReport): Uint8Array {
  return Message.encode({
    digest: Buffer.from(resource.digest, 'hex'),
    body: Buffer.from(resource.body),
    ages: [...(ages ?? [])].map(([key, revision]) => ({ ...parseClaimKey(key), revision })),
    createRevision: createRevision ?? 0n,
    keptRules: kept?.rules ?? [],
    keptBy: kept?.guard ?? '',
  }).finish();
}

/** Throws HG4003 where the entry's value is no stored report. */
export function decodeStoredReport(type: string, name: string, entry: Entry): StoredReport {
  const message = decodeOr4003(entry.key, () => Message.decode(entry.value));
  return {
    resource: { type, name, digest: Buffer.from(message.digest).toString('hex'), body: message.body },
    createRevision: message.createRevision === 0n ? entry.createRevision : message.createRevision,
    modRevision: entry.modRevision,
    ages: new Map(message.ages.map((age) => [claimKey(age.host, age.pathType, age.path), age.revision])),
    kept: message.keptBy === '' ? undefined : { rules: message.keptRules, guard: message.keptBy },
  };
}

/**
 * An ingress entry as the fleet's state has it: rules that a guard holds are among its rules.
 *
 * @param heldBy the guard under whose keys.held the entry stands; undefined for keys.report.
 */
export function committedIngress(stored: StoredReport, heldBy?: string): CommittedIngress {
  const { resource, createRevision, modRevision, ages, kept } = stored;
  const sent = decodeOr4003(`${resource.type}/${resource.name}`, () => Ingress.decode(resource.body));
  const value = kept === undefined ? sent : { ...sent, rules: [...sent.rules, ...kept.rules] };
  const claimedAt = new Map<string, bigint>();
  for (const key of claimsOf(value)) claimedAt.set(key, ages.get(key) ?? modRevision);
  return { value, createRevision, modRevision, claimedAt, heldBy: heldBy ?? kept?.guard };
}

/** The same without the rules that a guard kept; every age is told, since writing it makes a new revision. */
export function withoutKept(stored: StoredReport): UnstoredReport {
  const { claimedAt: ages } = committedIngress({ ...stored, kept: undefined });
  return { resource: stored.resource, createRevision: stored.createRevision, ages };
}

/** Every claim of an Ingress. Its default backend counts as one, with neither host nor path. */
export function claimsOf(ingress: Ingress): Set<string> {
  const claims = new Set(ingress.rules.map((rule) => claimKey(rule.host, rule.pathType, rule.path)));
  if (ingress.defaultBackend !== undefined) claims.add(claimKey('', PathType.UNSPECIFIED, ''));
  return claims;
}

/** Host of a claim; empty for a rule without one. */
export function hostOfClaim(key: string): string {
  return parseClaimKey(key).host;
}

function parseClaimKey(key: string): { host: string; pathType: PathType; path: string } {
  const [host = '', pathType = '', path = ''] = key.split('\0');
  return { host, pathType: Number(pathType) as PathType, path };
}

function decodeOr4003<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (thrown) {
    throw new HeadgateError('HG4003', `the stored value of '${what}' cannot be decoded`, { cause: thrown });
  }
}
