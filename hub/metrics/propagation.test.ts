import { expect, test } from 'vitest';
import { resource } from '../../lib/sync/index.ts';
import type { CompiledChange } from '../compile/compiler.ts';
import { Propagation } from './propagation.ts';

function change(revision: bigint, recipients: readonly string[]): CompiledChange {
  const next = {
    name: 'h',
    body: resource('host', 'h', Buffer.of()),
    variants: new Map(),
    recipients,
    backends: new Map(),
    statuses: [],
    origins: new Map(),
    reach: new Map(),
  };
  return {
    revision,
    hosts: new Map([['h', { previous: undefined, next }]]),
    peers: new Map(),
    settings: new Map(),
    statuses: new Map(),
  };
}

test('a change is measured until those it concerns have it, from the oldest that waits', () => {
  let now = 0;
  const seen: number[] = [];
  const propagation = new Propagation(
    () => now,
    (seconds) => seen.push(seconds),
  );
  propagation.changed(change(5n, ['eu']), ['eu', 'us']);
  now = 1_000;
  propagation.changed(change(6n, ['eu']), ['eu', 'us']);
  propagation.acknowledged('us', 6n);
  propagation.acknowledged('eu', 4n);
  expect([propagation.ageOf('eu'), propagation.ageOf('us')]).toEqual([1, 0]);
  now = 1_500;
  propagation.acknowledged('eu', 6n);
  propagation.acknowledged('eu', 6n);
  expect(seen).toEqual([1.5]);
  expect(propagation.ageOf('eu')).toBe(0);
});
