import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClaimFleet, claimManifest } from './claim-fleet.ts';

const HOUR = 3_600_000;
const clusters = ['eu', 'us', 'ap'];
const namespaces = ['shop', 'rival', 'aaa'];
const hosts = ['one.example', 'two.example', '*.three.example'];

const claim = fc.record({
  cluster: fc.constantFrom(...clusters),
  namespace: fc.constantFrom(...namespaces),
  host: fc.constantFrom(...hosts),
  // From long before to long after: what an agent on a wrong clock, or a liar, writes.
  created: fc.date({ min: new Date('1980-01-01'), max: new Date('2060-01-01'), noInvalidDate: true }),
});

describe('promise-18 skew immune', () => {
  test('clocks wrong by an hour and forged creationTimestamps steal no host and change no order', async () => {
    const skew = fc.integer({ min: -HOUR, max: HOUR });
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(skew, skew, skew),
        fc.array(claim, { minLength: 3, maxLength: 10 }),
        async ([eu, us, ap], claims) => {
          await using fleet = await ClaimFleet.start({ eu, us, ap });
          // The only thing that counts: the order in which the hub committed.
          const owners = new Map<string, string>();
          const standing = new Map<string, Set<string>>();
          for (const { cluster, namespace, host, created } of claims) {
            const name = `${namespace}-${hosts.indexOf(host)}`;
            await fleet.apply(cluster, claimManifest(namespace, name, host, '/', created.toISOString()));
            const owner = owners.get(host) ?? namespace;
            owners.set(host, owner);
            if (namespace === owner) {
              const offers = standing.get(host) ?? new Set();
              standing.set(host, offers.add(`${cluster} ${namespace}/${name}/80 /`));
            }
            for (const [known, first] of owners) {
              const seen = fleet.contributions(known);
              expect(seen.namespace).toBe(first);
              expect(seen.backends).toEqual([...(standing.get(known) ?? [])].sort());
            }
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  test('of two Ingresses with one path the first committed keeps it, whatever their timestamps', async () => {
    await using fleet = await ClaimFleet.start({ eu: -HOUR });
    await fleet.apply('eu', claimManifest('shop', 'z-first', 'shop.example', '/', '2030-01-01T00:00:00Z'));
    await fleet.apply('eu', claimManifest('shop', 'a-later', 'shop.example', '/', '1990-01-01T00:00:00Z'));
    expect(fleet.contributions('shop.example').backends).toEqual(['eu shop/z-first/80 /']);
    const [status] = fleet.compiled('shop.example')?.statuses ?? [];
    expect(status).toMatchObject({ name: 'a-later', reason: 'Conflicted', code: 'HG1005' });
    // An edit keeps its place.
    await fleet.apply('eu', claimManifest('shop', 'z-first', 'shop.example', '/', '2040-01-01T00:00:00Z'));
    expect(fleet.contributions('shop.example').backends).toEqual(['eu shop/z-first/80 /']);
  });
});
