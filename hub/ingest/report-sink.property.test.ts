import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  constant,
  nat,
  oneof,
  option,
  tuple,
  uniqueArray,
} from 'fast-check';
import { expect, test } from 'vitest';
import type { Resource } from '../../lib/sync/index.ts';
import { Ingress } from '../../proto/gen/headgate/v1/reported.ts';
import { parseHeldKey, parseReportKey } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { confirmGuard } from './guard/confirm-guard.ts';
import { listGuards, readOpenGuard } from './guard/open-guard.ts';
import { claimsOf, committedIngress, decodeStoredReport, hostOfClaim } from './stored-report.ts';
import { ingress, owners, Reporter, service, temporaryStore } from './ingest.fixture.ts';

const names = Array.from({ length: 14 }, (_, i) => `ns${i % 3}/i${i}`);
/** What an agent has: per Ingress the numbers of the hosts it names; a Service where it names any. */
type Objects = ReadonlyMap<string, readonly number[]>;

const objects: Arbitrary<Objects> = tuple(
  ...names.map(() => option(uniqueArray(nat(30), { maxLength: 5 }), { nil: undefined, freq: 4 })),
).map((hosts) => new Map(names.flatMap((name, i) => (hosts[i] === undefined ? [] : [[name, hosts[i]] as const]))));

type Step =
  | { readonly kind: 'report'; readonly next: Objects }
  | { readonly kind: 'restart' }
  | { readonly kind: 'confirm' };

const step: Arbitrary<Step> = oneof(
  { weight: 4, arbitrary: objects.map((next) => ({ kind: 'report', next }) as const) },
  { weight: 1, arbitrary: constant({ kind: 'report', next: new Map() } as const) },
  { weight: 1, arbitrary: constant({ kind: 'restart' } as const) },
  { weight: 1, arbitrary: constant({ kind: 'confirm' } as const) },
);

const resourcesOf = (given: Objects): Resource[] =>
  [...given].flatMap(([name, hosts]) => [
    ingress(name, ...hosts.map((host) => `h${host}.example/`)),
    ...(hosts.length > 0 ? [service(name, hosts.length)] : []),
  ]);

/** Every claim that the fleet would show of the cluster, with the revision it counts from. */
async function served(store: Store): Promise<Map<string, bigint>> {
  const claims = new Map<string, bigint>();
  for (const entry of (await store.range('')).entries) {
    const key = parseReportKey(entry.key) ?? parseHeldKey(entry.key);
    if (key?.type !== 'ingress') continue;
    const { claimedAt } = committedIngress(decodeStoredReport(key.type, key.name, entry));
    for (const [claim, at] of claimedAt) claims.set(`${key.name} ${claim}`, at);
  }
  return claims;
}

test('whatever a cluster reports: its copy is exact, nothing held is lost, every place is kept', async () => {
  const property = asyncProperty(array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
    await using temporary = await temporaryStore();
    const faults = await play(temporary.store, steps);
    expect(faults).toEqual([]);
  });
  await assert(property, { numRuns: 25 });
});

/** What does not hold after one of the steps; empty when all is well. */
async function play(store: Store, steps: readonly Step[]): Promise<string[]> {
  const faults: string[] = [];
  let eu = await Reporter.open(store, 'eu');
  let sent = new Map<string, Resource>();
  let endOfSnapshot = true;
  for (const [index, one] of steps.entries()) {
    const holds = (what: string, condition: boolean): void => {
      if (!condition) faults.push(`step ${index}, ${one.kind}: ${what}`);
    };
    const before = await served(store);
    const held = (await readOpenGuard(store, 'eu', undefined))?.claims ?? new Set();
    if (one.kind === 'restart') {
      eu = await Reporter.open(store, 'eu');
      endOfSnapshot = true;
    } else if (one.kind === 'confirm') {
      for (const { id } of await listGuards(store)) await confirmGuard(store, id);
    } else {
      const next = new Map(resourcesOf(one.next).map((it) => [`${it.type}/${it.name}`, it]));
      const upserts = [...next].filter(([key, it]) => sent.get(key)?.digest !== it.digest).map(([, it]) => it);
      const removals = [...sent].filter(([key]) => !next.has(key)).map(([, it]) => it);
      const refusals = await eu.report(upserts, removals, endOfSnapshot);
      holds('nothing is refused', refusals.length === 0);
      sent = next;
      endOfSnapshot = false;
    }

    const inventory = [...sent.keys()].sort().join();
    holds('its copy is what was sent', eu.inventory.toSorted().join() === inventory);
    const loaded = (await Reporter.open(store, 'eu')).inventory.toSorted().join();
    holds('a new stream loads the same', loaded === inventory);
    const after = await served(store);
    holds(
      'claims keep their place',
      [...after].every(([claim, at]) => (before.get(claim) ?? at) === at),
    );
    holds(
      'all that is sent is served',
      claimsSent(sent).every((claim) => after.has(claim)),
    );
    const claims = new Set([...after.keys()].map(claimOf));
    holds('what is held is served', one.kind === 'confirm' || [...held].every((claim) => claims.has(claim)));
    const guards = await listGuards(store);
    const keeps = (await store.range('held/')).entries.length > 0 || after.size > claimsSent(sent).length;
    holds('there is a guard exactly while something is held', guards.length === (keeps ? 1 : 0));
    const owned = new Set(['', ...(await owners(store)).map((line) => line.split(' ')[0])]);
    holds(
      'every host has an owner',
      [...claims].every((claim) => owned.has(hostOfClaim(claim))),
    );
  }
  return faults;
}

function claimOf(served: string): string {
  return served.slice(served.indexOf(' ') + 1);
}

function claimsSent(sent: ReadonlyMap<string, Resource>): string[] {
  return [...sent.values()].flatMap((one) =>
    one.type === 'ingress' ? [...claimsOf(Ingress.decode(one.body))].map((claim) => `${one.name} ${claim}`) : [],
  );
}
