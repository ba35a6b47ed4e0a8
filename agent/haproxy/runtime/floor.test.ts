import { expect, test } from 'vitest';
import { BackendSettings } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Slot } from '../model/desired.ts';
import { DEFAULT_PROFILE } from '../model/profile.ts';
import { ejectedTooMany } from './floor.ts';
import type { ObservedServer } from './observe.ts';

test.each([
  [4, 50, 4, 2],
  [4, 50, 2, 0],
  [3, 50, 3, 2],
  [1, 50, 1, 1],
  [4, 0, 4, 0],
  [4, 100, 4, 0],
])('of %i servers %i %% may be out: of %i that are, %i come back', (count, maxEjectedPercent, out, back) => {
  const names = Array.from({ length: count }, (_, i) => `e-${i}`);
  const slot: Slot = {
    name: 's0000',
    profile: DEFAULT_PROFILE,
    backend: 'd/a/80',
    settings: BackendSettings.create({ outlier: { maxEjectedPercent } }),
    servers: new Map(names.map((name, i) => [name, { name, address: '10.0.0.1', port: i + 1, state: 'ready' }])),
  };
  const seen = names.map((name, i): [string, ObservedServer] => [
    name,
    { address: '10.0.0.1', port: i + 1, weight: 1, maintenance: false, down: i < out, ejected: i < out },
  ]);
  expect(ejectedTooMany([slot], new Map([['s0000', new Map(seen)]]))).toHaveLength(back);
});
