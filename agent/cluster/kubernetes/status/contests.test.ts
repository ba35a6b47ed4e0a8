import { expect, test } from 'vitest';
import { VirtualClock } from '../../../../lib/virtual-clock.fixture.ts';
import { Contests } from './contests.ts';

const wanted = { status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } } };

test('what somebody else writes over is written again after 10 s, then 20 s, up to 10 minutes', () => {
  const clock = new VirtualClock();
  const contests = new Contests(clock);
  let lost = 0;
  const waitMs = (): number => contests.waitMs('a', wanted, () => lost++);
  expect(waitMs()).toBe(0);
  const waits: number[] = [];
  for (let round = 0; round < 9; round++) {
    contests.written('a', wanted);
    waits.push(waitMs());
    // Looked at again meanwhile, it is the same loss.
    expect(waitMs()).toBe(waits.at(-1));
    clock.hang(waits.at(-1) ?? 0);
    expect(waitMs()).toBe(0);
  }
  expect(lost).toBe(9);
  expect(waits).toEqual([10, 20, 40, 80, 160, 320, 600, 600, 600].map((seconds) => seconds * 1_000));
  contests.written('a', wanted);
  clock.hang(700_000);
  expect(waitMs()).toBe(10_000);
});

test('something else is written at once', () => {
  const contests = new Contests(new VirtualClock());
  contests.written('a', wanted);
  expect(contests.waitMs('a', {}, () => undefined)).toBe(0);
  expect(contests.waitMs('b', wanted, () => undefined)).toBe(0);
});
