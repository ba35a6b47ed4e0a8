import { compare } from '../../lib/compare.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { type Refusal, type Resource, type ResourceKey, resource } from '../../lib/sync/index.ts';
import { Ingress, type IngressRule } from '../../proto/gen/headgate/v1/reported.ts';
import { claimKey } from '../fleet/state.ts';
import { keys } from '../store/keys.ts';
import { type Store, transactionLimits } from '../store/store.ts';
import { encodeGuard, type OpenGuard } from './guard/open-guard.ts';
import { ownerUnits } from './ownership/ownership-record.ts';
import type { Shrink } from './guard/shrink-guard.ts';
import { committedIngress, decodeStoredReport, encodeStoredReport, type StoredReport } from './stored-report.ts';
import type { Unit } from '../store/transactions.ts';

export interface CheckedReport {
  readonly resource: Resource;
  /** The decoded body where it is one. */
  readonly ingress: Ingress | undefined;
}

export interface WriteInput {
  readonly store: Store;
  readonly cluster: string;
  readonly upserts: readonly CheckedReport[];
  readonly removals: readonly ResourceKey[];
  readonly guard: OpenGuard | undefined;
  readonly shrink: Shrink;
  /** Of the guard that is made where none is open and the shrink trips. */
  readonly newGuardId: string;
  /** Removals of every type but derived ones are held, not only those that routes need. */
  readonly emptySnapshot: boolean;
}

export interface WritePlan {
  readonly units: readonly Unit[];
  readonly refusals: readonly Refusal[];
}

/** What a route lives on. */
const routeTypes: ReadonlySet<string> = new Set(['ingress', 'service', 'policy', 'certificate']);
/** What agents make of other resources; it says nothing about what a cluster has. */
const derivedTypes: ReadonlySet<string> = new Set(['problem', 'verdict', 'health', 'split']);

/** A stored value stays below the store's limit, with room for what else the transaction holds. */
const MAX_VALUE_BYTES = transactionLimits.bytes - 64 * 1024;

/**
 * Everything that one delta writes, in make-before-break order. Reads what it depends on and makes it a
 * condition, so a plan that has become wrong does not commit and is made again.
 */
export async function planWrite(input: WriteInput): Promise<WritePlan> {
  const planner = new Planner(input);
  for (const one of input.upserts.filter(({ ingress }) => ingress === undefined)) await planner.upsert(one);
  for (const one of input.upserts.filter(({ ingress }) => ingress !== undefined).sort(byName))
    await planner.upsert(one);
  for (const key of input.removals) await planner.remove(key);
  return planner.finish();
}

/** By namespace, then name: the order in which claims of one commit come. */
function byName(a: CheckedReport, b: CheckedReport): number {
  return (
    compare(a.ingress?.namespace ?? '', b.ingress?.namespace ?? '') ||
    compare(a.ingress?.name ?? '', b.ingress?.name ?? '')
  );
}

class Planner {
  readonly #input: WriteInput;
  readonly #guardId: string;
  readonly #units: Unit[] = [];
  readonly #refusals: Refusal[] = [];
  /** Names `<type>/<name>` that the guard takes hold of, and those that it lets go. */
  readonly #holds: string[] = [];
  readonly #released: string[] = [];
  /** Hosts that an Ingress before in this delta has claimed. */
  readonly #claimedHosts = new Set<string>();

  constructor(input: WriteInput) {
    this.#input = input;
    this.#guardId = input.guard?.record.id ?? input.newGuardId;
  }

  async upsert({ resource: next, ingress }: CheckedReport): Promise<void> {
    const { store, cluster, guard } = this.#input;
    const { type, name } = next;
    const key = keys.report(cluster, type, name);
    const entry = await store.get(key);
    const stored = entry === undefined ? undefined : readable(type, name, () => decodeStoredReport(type, name, entry));
    const held = guard?.held.get(`${type}/${name}`);
    const previous = stored ?? held;
    const kept = ingress === undefined ? undefined : this.#kept(stored, held, ingress);
    const sameKept = kept?.rules.length === stored?.kept?.rules.length && kept?.guard === stored?.kept?.guard;
    if (stored?.resource.digest === next.digest && held === undefined && sameKept) return;

    const value = encodeStoredReport({
      resource: next,
      createRevision: previous?.createRevision,
      ages: ingress === undefined || previous === undefined ? new Map() : ages(previous, ingress, kept),
      kept,
    });
    if (value.length > MAX_VALUE_BYTES) {
      const error = new HeadgateError('HG6001', 'a guard keeps more of its former rules than can be stored', {
        remedy: 'confirm the guard',
      });
      this.#refusals.push({ type, name, digest: next.digest, error });
      return;
    }
    const owners = ingress === undefined ? [] : await ownerUnits(store, ingress, previous, this.#claimedHosts);
    // Few of them share the report's transaction; a great many go before it.
    const together = owners.length <= transactionLimits.operations / 2 ? owners : [];
    if (together.length === 0) this.#units.push(...owners);
    this.#units.push({
      conditions: [
        { key, modRevision: entry?.modRevision ?? 0n },
        ...together.flatMap((unit) => unit.conditions ?? []),
      ],
      operations: [
        ...together.flatMap((unit) => unit.operations),
        { kind: 'put', key, value },
        ...(held === undefined
          ? []
          : [{ kind: 'delete', key: keys.held(this.#guardId, cluster, type, name) } as const]),
      ],
    });
    if (kept !== undefined) this.#holds.push(`${type}/${name}`);
    else if (held !== undefined || stored?.kept !== undefined) this.#released.push(`${type}/${name}`);
  }

  async remove({ type, name }: ResourceKey): Promise<void> {
    const { store, cluster } = this.#input;
    const key = keys.report(cluster, type, name);
    const entry = await store.get(key);
    if (entry === undefined) return;
    const stored = readable(type, name, () => decodeStoredReport(type, name, entry));
    const value = stored === undefined ? undefined : this.#heldValue(stored);
    if (value === undefined) {
      if (stored?.kept !== undefined) this.#released.push(`${type}/${name}`);
      this.#units.push({ operations: [{ kind: 'delete', key }] });
      return;
    }
    this.#holds.push(`${type}/${name}`);
    this.#units.push({
      conditions: [{ key, modRevision: entry.modRevision }],
      operations: [
        { kind: 'put', key: keys.held(this.#guardId, cluster, type, name), value },
        { kind: 'delete', key },
      ],
    });
  }

  finish(): WritePlan {
    const { cluster, guard, shrink } = this.#input;
    const holds = new Set(guard?.record.holds);
    for (const name of this.#released) holds.delete(name);
    for (const name of this.#holds) holds.add(name);
    const units = [...this.#units];
    if (this.#holds.length > 0 || this.#released.length > 0) {
      const key = keys.guard(this.#guardId);
      const { gone, before } = shrink.count();
      const message = `${gone} of ${before} routes of ${cluster}`;
      const record = { id: this.#guardId, cluster, guard: 'shrink', message, holds: [...holds].sort(compare) } as const;
      // Before what it holds, so that nothing is ever held by a guard that nobody sees.
      units.unshift({
        conditions: [{ key, modRevision: guard?.modRevision ?? 0n }],
        operations: [holds.size === 0 ? { kind: 'delete', key } : { kind: 'put', key, value: encodeGuard(record) }],
      });
    }
    return { units, refusals: this.#refusals };
  }

  /** Rules that go on beside an edit: those it drops while the guard trips, and those held before. */
  #kept(stored: StoredReport | undefined, held: StoredReport | undefined, next: Ingress): StoredReport['kept'] {
    const written = new Set(next.rules.map(claimOf));
    const sent = stored === undefined ? [] : committedIngress({ ...stored, kept: undefined }).value.rules;
    const rules = [
      ...sent.filter((rule) => this.#drops(claimOf(rule))),
      ...this.#keptRules(stored),
      ...(stored !== undefined || held === undefined ? [] : committedIngress(held).value.rules),
    ].filter((rule) => !written.has(claimOf(rule)));
    return rules.length === 0 ? undefined : { rules, guard: this.#guardId };
  }

  /** Those of the open guard; one that was confirmed halfway has let go of its others. */
  #keptRules(stored: StoredReport | undefined): readonly IngressRule[] {
    return stored?.kept !== undefined && stored.kept.guard === this.#input.guard?.record.id ? stored.kept.rules : [];
  }

  /** Whether this delta drops the claim and the guard holds it. */
  #drops(claim: string): boolean {
    return this.#input.shrink.trips && this.#input.shrink.dropped.has(claim);
  }

  /** A removed resource as it is held; undefined where the guard lets it go. */
  #heldValue(stored: StoredReport): Uint8Array | undefined {
    const { type, name } = stored.resource;
    const { shrink, emptySnapshot } = this.#input;
    if (type !== 'ingress') {
      const holds = shrink.trips && (emptySnapshot ? !derivedTypes.has(type) : routeTypes.has(type));
      return holds ? encodeStoredReport({ ...stored, ages: new Map() }) : undefined;
    }
    const { value, claimedAt } = committedIngress({ ...stored, kept: undefined });
    const sent = value.rules.filter((rule) => this.#drops(claimOf(rule)));
    const rules = [...sent, ...this.#keptRules(stored)];
    const defaultBackend = this.#drops(claimKey('', 0, '')) ? value.defaultBackend : undefined;
    if (rules.length === 0 && defaultBackend === undefined) return undefined;
    const held = resource(type, name, Ingress.encode({ ...value, rules, defaultBackend }).finish());
    const ages = stored.kept === undefined ? claimedAt : committedIngress(stored).claimedAt;
    return encodeStoredReport({ resource: held, createRevision: stored.createRevision, ages });
  }
}

function claimOf({ host, pathType, path }: IngressRule): string {
  return claimKey(host, pathType, path);
}

/** An edit keeps its place: the claims that it goes on making, with their ages. */
function ages(previous: StoredReport, next: Ingress, kept: StoredReport['kept']): Map<string, bigint> {
  const before = committedIngress(previous).claimedAt;
  const after = new Map<string, bigint>();
  const claims = [...next.rules, ...(kept?.rules ?? [])].map(claimOf);
  if (next.defaultBackend !== undefined) claims.push(claimKey('', 0, ''));
  for (const claim of claims) {
    const age = before.get(claim);
    if (age !== undefined) after.set(claim, age);
  }
  return after;
}

/** A value that cannot be read counts as absent: what the agent sends next replaces it. */
function readable(type: string, name: string, read: () => StoredReport): StoredReport | undefined {
  try {
    const stored = read();
    if (type === 'ingress') committedIngress(stored);
    return stored;
  } catch (thrown) {
    if (HeadgateError.from(thrown).code === 'HG4003') return undefined;
    throw thrown;
  }
}
