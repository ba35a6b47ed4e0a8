import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import { silentLog } from '../../lib/log.ts';
import { keys } from '../store/keys.ts';
import { certificatesFixture } from './certificates.fixture.ts';
import { Revocations } from './revocations.ts';
import { serialAt } from '../../lib/identity/serial.ts';

const agent: Identity = { kind: 'cluster', fleet: 'fleet', cluster: 'eu' };
const node: Identity = { kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n1' };
const other: Identity = { kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n2' };
const hub: Identity = { kind: 'hub', fleet: 'fleet', id: 'h1' };

describe('revocations', () => {
  test('a cluster takes its nodes with it, a node only itself, and what is issued after stays good', async () => {
    await using fleet = await certificatesFixture();
    const { revocations } = fleet;
    const serial = serialAt((await revocations.check(agent, '')).at);
    await revocations.revoke('node/eu/n1');
    expect([agent, node, other, hub].map((each) => revocations.isRevoked(each, serial))).toEqual([
      false,
      true,
      false,
      false,
    ]);
    await revocations.revoke('cluster/eu');
    expect([agent, node, other, hub].map((each) => revocations.isRevoked(each, serial))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(revocations.isRevoked({ ...agent, cluster: 'us' }, serial)).toBe(false);
    expect(revocations.isRevoked(agent, 'abcdef')).toBe(true);
    const after = await revocations.check(agent, serial);
    expect(after.revoked).toBe(true);
    expect(revocations.isRevoked(agent, serialAt(after.at))).toBe(false);
    await revocations.revoke(`serial/${serial}`);
    expect(revocations.isRevoked(hub, serial.toUpperCase())).toBe(true);
  });

  test('another hub over the store learns of it at once', async () => {
    await using fleet = await certificatesFixture();
    const { store } = fleet;
    await using second = await Revocations.open({ store, clock: systemClock, log: silentLog });
    const events = new EventTarget();
    second.onChange(() => events.dispatchEvent(new Event('change')));
    const changed = once(events, 'change');
    const { at } = await second.check(agent, '');
    await fleet.revocations.revoke('cluster/eu');
    await changed;
    expect(second.isRevoked(agent, serialAt(at))).toBe(true);
  });

  test('a record that does not parse revokes all that it names', async () => {
    await using fleet = await certificatesFixture();
    const { store } = fleet;
    const { at } = await fleet.revocations.check(agent, '');
    await store.transact({
      operations: [{ kind: 'put', key: keys.revoked('cluster/eu'), value: Buffer.from('{') }],
    });
    await using second = await Revocations.open({ store, clock: systemClock, log: silentLog });
    expect(second.isRevoked(agent, serialAt(at))).toBe(true);
  });
});
