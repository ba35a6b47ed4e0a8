import { describe, expect, test } from 'vitest';
import { ClaimFleet, claimManifest } from './claim-fleet.ts';

const old = '1990-01-01T00:00:00Z';
const young = '2026-01-01T00:00:00Z';
const here = { eu: 0, us: 0 };

describe('promise-21 host ownership: a rival claim gets 0 contributions', () => {
  test('on the same path, on a longer path, in another cluster, and with an older timestamp', async () => {
    await using fleet = await ClaimFleet.start(here);
    await fleet.apply('eu', claimManifest('shop', 'shop', 'shop.example', '/', young));
    const before = fleet.compiled('shop.example')?.body?.digest;
    await fleet.apply('eu', claimManifest('rival', 'same', 'shop.example', '/', old));
    await fleet.apply('eu', claimManifest('rival', 'longer', 'shop.example', '/cart', old));
    await fleet.apply('us', claimManifest('rival', 'elsewhere', 'shop.example', '/', old));

    expect(fleet.contributions('shop.example')).toEqual({ namespace: 'shop', backends: ['eu shop/shop/80 /'] });
    // The incumbent does not move by a byte, and the rival's cluster gets nothing of the host.
    expect(fleet.compiled('shop.example')?.body?.digest).toBe(before);
    expect(fleet.compiled('shop.example')?.recipients).toEqual(['eu']);
    expect([...(fleet.compiled('shop.example')?.backends.keys() ?? [])]).toEqual(['eu']);
    const conflicts = (fleet.compiled('shop.example')?.statuses ?? []).filter(({ code }) => code === 'HG1006');
    expect(conflicts.map(({ namespace, name }) => `${namespace}/${name}`).sort()).toEqual([
      'rival/elsewhere',
      'rival/longer',
      'rival/same',
    ]);
    for (const { message, remedy } of conflicts) {
      expect(message).toContain('belongs to namespace shop');
      expect(remedy).toContain('use another host');
    }
  });

  test('a wildcard under a HostClaim reserves every host below it, before anybody uses one', async () => {
    await using fleet = await ClaimFleet.start(here);
    const spec = { hosts: ['*.shop.example'], namespaces: ['shop'] };
    await fleet.put({ policies: [{ kind: 'HostClaim', name: 'shop', spec }] });
    for (const host of ['a.shop.example', 'b.a.shop.example', '*.a.shop.example', '*.shop.example']) {
      await fleet.apply('eu', claimManifest('rival', 'r', host, '/', old));
      expect(fleet.contributions(host)).toEqual({ namespace: '', backends: [] });
      expect(fleet.compiled(host)?.recipients).toEqual([]);
      await fleet.apply('us', claimManifest('shop', 's', host, '/', young));
      expect(fleet.contributions(host)).toEqual({ namespace: 'shop', backends: ['us shop/s/80 /'] });
    }
    // What does not lie under the wildcard is free.
    await fleet.apply('eu', claimManifest('rival', 'r', 'shop.example', '/', old));
    expect(fleet.contributions('shop.example').backends).toEqual(['eu rival/r/80 /']);
  });

  test('a HostClaim written later takes the host from whoever has it', async () => {
    await using fleet = await ClaimFleet.start(here);
    await fleet.apply('eu', claimManifest('rival', 'r', 'shop.example', '/', old));
    await fleet.apply('eu', claimManifest('shop', 's', 'shop.example', '/', young));
    expect(fleet.contributions('shop.example').namespace).toBe('rival');
    const spec = { hosts: ['shop.example'], namespaces: ['shop'] };
    await fleet.put({ policies: [{ kind: 'HostClaim', name: 'shop', spec }] });
    expect(fleet.contributions('shop.example')).toEqual({ namespace: 'shop', backends: ['eu shop/s/80 /'] });
  });

  test('a wildcard that a rival serves elsewhere does not catch the host there', async () => {
    await using fleet = await ClaimFleet.start(here);
    await fleet.apply('us', claimManifest('shop', 'shop', 'a.shop.example', '/', young));
    await fleet.apply('eu', claimManifest('rival', 'wild', '*.shop.example', '/', old));
    expect(fleet.explain('a.shop.example', 'eu').outcome).toBe('404');
    expect(fleet.explain('b.shop.example', 'eu').route?.owner).toBe('rival');
    expect(fleet.explain('a.shop.example', 'us').route?.owner).toBe('shop');
  });

  test('a rival cannot reach in by policy either', async () => {
    await using fleet = await ClaimFleet.start(here);
    await fleet.apply('eu', claimManifest('shop', 'shop', 'shop.example', '/', young));
    const before = fleet.compiled('shop.example')?.body?.digest;
    const targetRefs = [
      { group: 'headgate.dev', kind: 'Route', name: 'shop.example/' },
      { group: '', kind: 'Namespace', name: 'shop' },
      { group: 'networking.k8s.io', kind: 'Ingress', name: 'shop' },
    ];
    const spec = { targetRefs, exposure: 'Everywhere', tiers: [{ clusters: [{ name: 'us', weight: 1 }] }] };
    await fleet.put({ policies: [{ kind: 'TrafficPolicy', name: 'rival/steal', spec }] });
    await fleet.put({ policies: [{ kind: 'TrafficPolicy', name: 'rival/steal', cluster: 'us', spec }] });
    expect(fleet.compiled('shop.example')?.body?.digest).toBe(before);
    expect(fleet.compiled('shop.example')?.recipients).toEqual(['eu']);
  });
});
