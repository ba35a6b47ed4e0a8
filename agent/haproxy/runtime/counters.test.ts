import { expect, test } from 'vitest';
import { Counters } from './counters.ts';

const says = (boot: number, counts: Readonly<Record<string, number>>): string =>
  [
    `haproxy_process_start_time_seconds ${boot}`,
    '# TYPE haproxy_backend_http_responses_total counter',
    ...Object.entries(counts).map(
      ([slot, n]) => `haproxy_backend_http_responses_total{proxy="${slot}",code="2xx"} ${n}`,
    ),
    '# TYPE haproxy_backend_active_servers gauge',
    ...Object.keys(counts).map((slot) => `haproxy_backend_active_servers{proxy="${slot}"} 1`),
    '',
  ].join('\n');

const seen = (counters: Counters, ...owners: string[]): (number | undefined)[] => {
  const sums = counters.sums(new Set(owners));
  return owners.map((owner) => sums.get(owner)?.get('haproxy_backend_http_responses_total{code="2xx"'));
};

test('counts go on over reloads', () => {
  const counters = new Counters();
  counters.assign('s0000', 'a');
  counters.read(says(1, { s0000: 5 }));
  counters.read(says(1, { s0000: 7 }));
  counters.read(says(2, { s0000: 0 }));
  expect(seen(counters, 'a')).toEqual([7]);
  counters.read(says(2, { s0000: 9 }));
  expect(seen(counters, 'a')).toEqual([16]);
  // Within the same second.
  counters.read(says(2, { s0000: 1 }));
  expect(seen(counters, 'a')).toEqual([17]);
});

test('a worker that a reload replaced counts on for whom it served, until it ends', () => {
  const key = 'haproxy_backend_http_responses_total{code="2xx"';
  const counters = new Counters();
  counters.assign('s0000', 'a');
  counters.read(says(1, { s0000: 5 }));
  counters.retire(1);
  // The same second, and already more than the one before had.
  counters.read(says(1, { s0000: 6 }));
  expect(seen(counters, 'a')).toEqual([11]);
  counters.assign('s0000', 'b');
  counters.readLeaving(1, [{ slot: 's0000', key, value: 8 }]);
  counters.read(says(1, { s0000: 7 }));
  expect(seen(counters, 'a', 'b')).toEqual([14, 1]);
  counters.end(1);
  counters.readLeaving(1, [{ slot: 's0000', key, value: 9 }]);
  expect(seen(counters, 'a', 'b')).toEqual([14, 1]);
});

test('a slot that changes hands begins at 0 for its new owner, and the old one keeps its counts', () => {
  const counters = new Counters();
  counters.assign('s0000', 'a');
  counters.read(says(1, { s0000: 5 }));
  expect(counters.isAnothers('s0000', 'b')).toBe(true);
  counters.assign('s0000', 'b');
  counters.assign('s0001', 'a');
  expect(seen(counters, 'a', 'b')).toEqual([5, 0]);
  counters.read(says(1, { s0000: 8, s0001: 2 }));
  expect(seen(counters, 'a', 'b')).toEqual([7, 3]);
  counters.read(says(2, { s0000: 1, s0001: 1 }));
  expect(seen(counters, 'a', 'b')).toEqual([8, 4]);
});

test('slots of one owner are added up, and who is gone is forgotten', () => {
  const counters = new Counters();
  counters.assign('s0000', 'a');
  counters.assign('s0001', 'a');
  counters.read(says(1, { s0000: 5, s0001: 6 }));
  counters.read(says(2, { s0000: 1, s0001: 1 }));
  expect(seen(counters, 'a')).toEqual([13]);
  expect(seen(counters, 'b')).toEqual([undefined]);
  expect(seen(counters, 'a')).toEqual([2]);
});

test('an agent that takes over counts from then on', () => {
  const counters = new Counters();
  counters.assign('s0000', 'a');
  counters.read(says(1, { s0000: 5 }));
  counters.leaveBehind();
  expect(seen(counters, 'a')).toEqual([0]);
  counters.read(says(1, { s0000: 6 }));
  expect(seen(counters, 'a')).toEqual([1]);
});
