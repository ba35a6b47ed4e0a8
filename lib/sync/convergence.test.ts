import * as fc from 'fast-check';
import { test } from 'vitest';
import type { AcceptedDelta } from './protocol.ts';
import { resource, type Inventory } from './resource.ts';
import { Copy, Hop, type Faults } from './hop.fixture.ts';
import { VirtualClock } from '../virtual-clock.fixture.ts';

const types = ['host', 'backend', 'endpoints', 'own-certificate', 'a-type-of-tomorrow'];

type Step =
  | { readonly do: 'set'; readonly type: string; readonly name: string; readonly bytes: number }
  | { readonly do: 'remove'; readonly type: string; readonly name: string }
  | { readonly do: 'cut' | 'restart'; readonly hop: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'epoch' };

const hop = fc.integer({ min: 0, max: 2 });
const type = fc.constantFrom(...types);
const name = fc.constantFrom('a', 'b', 'c', 'd', 'é', '__proto__');
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      type,
      name,
      bytes: fc.oneof({ weight: 9, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.constant(600_000) }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), type, name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'restart' as const), hop }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(4_000) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'epoch' as const }) },
);

function contents(inventory: Inventory): string[] {
  return [...inventory.all()].map(({ type, name, digest }) => `${type}/${name} ${digest}`).sort();
}

test('both ends converge under loss, delay, restarts and slow readers, and nothing is removed by absence', async ({
  expect,
}) => {
  let reached = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.array(step, { minLength: 5, maxLength: 40 }), async (seed, steps) => {
      const clock = new VirtualClock(seed);
      const faults: Faults = { delayMs: 300, storeMs: clock.random() < 0.2 ? 15_000 : 800, storeFails: 0.05 };
      // hub → relay → node, and the node's own report back to the hub, whose streams fail by themselves.
      const [hub, relay, node, report, reported] = [new Copy(), new Copy(), new Copy(), new Copy(), new Copy()];
      const removed = new Set<string>();
      const audit = ({ removals }: AcceptedDelta): void => {
        for (const { type, name } of removals) {
          if (!removed.has(`${type}/${name}`)) throw new Error(`${type}/${name} was removed by nobody`);
        }
      };
      const hops = [
        new Hop(clock, hub, relay, faults, audit),
        new Hop(clock, relay, node, faults, audit),
        new Hop(clock, report, reported, faults, audit),
      ];
      for (const owner of [hub, report]) owner.position = { epoch: { counter: 1n, id: 'e' }, revision: 1n };
      const stop = new AbortController();
      const running = hops.map((one) => one.run(stop.signal));

      for (const one of steps) {
        switch (one.do) {
          case 'set':
          case 'remove': {
            const key = { type: one.type, name: one.name };
            // The removal is allowed from here on; it may still be overtaken by a later upsert.
            if (one.do === 'remove') removed.add(`${one.type}/${one.name}`);
            for (const owner of [hub, report]) {
              const { epoch, revision } = owner.position ?? { epoch: { counter: 1n, id: 'e' }, revision: 0n };
              owner.position = { epoch, revision: revision + 1n };
              const body = one.do === 'set' ? Buffer.alloc(one.bytes, `${clock.random()}`) : Buffer.alloc(0);
              owner.publication.publish(
                one.do === 'set'
                  ? { upserts: [resource(one.type, one.name, body)], removals: [] }
                  : { upserts: [], removals: [key] },
              );
            }
            break;
          }
          case 'cut':
            hops[one.hop]?.cut();
            break;
          case 'restart':
            hops[one.hop]?.restartReceiver(clock.random() < 0.5);
            break;
          case 'wait':
            await clock.advance(one.ms);
            break;
          case 'epoch':
            // The store was restored and its epoch raised: the revision may start anywhere.
            hub.position = {
              epoch: { counter: (hub.position?.epoch.counter ?? 0n) + 1n, id: `${seed}` },
              revision: 1n,
            };
            hops[0]?.cut();
            break;
          default:
            one satisfies never;
        }
      }

      Object.assign(faults, { delayMs: 20, storeMs: 20, storeFails: 0 });
      const wanted = contents(hub.inventory);
      const wantedReport = contents(report.inventory);
      const same = (): boolean =>
        relay.position?.epoch.counter === hub.position?.epoch.counter &&
        [relay, node].every((copy) => contents(copy.inventory).join() === wanted.join()) &&
        contents(reported.inventory).join() === wantedReport.join();
      await clock.advance(120_000, same);
      expect(contents(relay.inventory)).toEqual(wanted);
      expect(contents(node.inventory)).toEqual(wanted);
      expect(contents(reported.inventory)).toEqual(wantedReport);
      for (const held of hub.inventory.all()) {
        const copied = node.inventory.get(held.type, held.name)?.body ?? Buffer.alloc(0);
        expect(Buffer.compare(copied, held.body)).toBe(0);
      }
      reached++;

      // Nothing is outstanding any more; everybody reconnects and sends no body.
      await clock.advance(20_000);
      const reconnect = async (): Promise<number[]> => {
        for (const one of hops) {
          one.acks.length = 0;
          one.cut();
        }
        await clock.advance(20_000);
        return hops.map(({ bodyBytes }) => bodyBytes);
      };
      const before = await reconnect();
      expect(await reconnect()).toEqual(before);
      expect(hops.map(({ acks }) => acks.length)).toEqual([1, 1, 1]);
      expect(hops.map(({ outstandingTooMany }) => outstandingTooMany)).toEqual([0, 0, 0]);

      stop.abort();
      await clock.advance(30_000);
      await Promise.all(running);
    }),
    { numRuns: 250 },
  );
  expect(reached).toBeGreaterThanOrEqual(250);
});
