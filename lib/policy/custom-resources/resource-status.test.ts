import { expect, test } from 'vitest';
import { ResourceStatus } from './resource-status.ts';

const finding = { accepted: false, reason: 'Invalid', code: 'HG1002', field: 'spec', message: 'is wrong', remedy: '' };
const bare = { metadata: { name: 'web' } };
const [early, late] = [Date.UTC(2026, 10, 24, 20), Date.UTC(2026, 10, 24, 21)];
const [then, now] = ['2026-11-24T20:00:00Z', '2026-11-24T21:00:00Z'];

test('a status is written once, and again only when it says something else', () => {
  const status = ResourceStatus.of(bare);
  const first = status.next([], 'governs no route', 1, early);
  expect(first).toMatchObject({ observedGeneration: 1, fleet: 'governs no route' });
  if (first !== undefined) status.told(first);
  expect(status.next([], 'governs no route', 1, late)).toBeUndefined();
  // What the API server has is known after a restart.
  const again = ResourceStatus.of({ ...bare, status: JSON.parse(JSON.stringify(first)) as unknown });
  expect(again.next([], 'governs no route', 1, late)).toBeUndefined();

  // A time is that of the last change of the condition's status, whatever else of it changed.
  const edited = status.next([], '', 2, late);
  expect(edited?.conditions.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([then, then]);
  expect(edited).not.toHaveProperty('fleet');
  const broken = status.next([finding], '', 2, late);
  expect(broken?.conditions.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([now, now]);
});

test('a status of somebody else counts as none', () => {
  const status = ResourceStatus.of({ ...bare, status: { conditions: 'none' } });
  expect(status.next([], '', 1, early)).toMatchObject({ observedGeneration: 1 });
});
