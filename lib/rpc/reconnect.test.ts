import { describe, test } from 'vitest';
import { HeadgateError } from '../errors.ts';
import { silentLog } from '../log.ts';
import { VirtualClock } from '../virtual-clock.fixture.ts';
import { withReconnect } from './reconnect.ts';
import { TokenBucket } from './token-bucket.ts';

describe('withReconnect', () => {
  test('the first within 3 s, then full jitter to 60 s, the next address after each failure', async ({ expect }) => {
    const clock = new VirtualClock(5);
    const stop = new AbortController();
    const tries: { address: string; at: number }[] = [];
    const run = withReconnect(
      ['a', 'b'],
      (address) => {
        tries.push({ address, at: clock.now() });
        return Promise.reject(new HeadgateError('HG3001', 'no'));
      },
      { clock, log: silentLog, signal: stop.signal },
    );
    await clock.advance(3_600_000);
    stop.abort();
    await run;
    expect(tries.slice(0, 4).map(({ address }) => address)).toEqual(['a', 'b', 'a', 'b']);
    const gaps = tries.slice(1).map(({ at }, index) => at - (tries[index]?.at ?? 0));
    expect(gaps[0]).toBeLessThanOrEqual(3_000);
    expect(gaps[1]).toBeLessThanOrEqual(2_000);
    expect(gaps[2]).toBeLessThanOrEqual(4_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60_000);
    const late = gaps.slice(10);
    const mean = late.reduce((sum, gap) => sum + gap, 0) / late.length;
    expect(mean).toBeGreaterThan(20_000);
    expect(mean).toBeLessThan(40_000);
  });

  test('a connection that lived long starts the back-off over, at the same address', async ({ expect }) => {
    const clock = new VirtualClock(9);
    const stop = new AbortController();
    const ends: { address: string; at: number }[] = [];
    const starts: number[] = [];
    const run = withReconnect(
      ['a', 'b'],
      async (address) => {
        starts.push(clock.now());
        if (starts.length > 8) await clock.sleep(31_000);
        ends.push({ address, at: clock.now() });
        if (starts.length <= 8) throw new HeadgateError('HG3001', 'no');
      },
      { clock, log: silentLog, signal: stop.signal, firstMs: 100 },
    );
    await clock.advance(3_600_000, () => starts.length > 12);
    stop.abort();
    for (let index = 8; index < 11; index++) {
      expect((starts[index + 1] ?? 0) - (ends[index]?.at ?? 0)).toBeLessThanOrEqual(100);
      expect(ends[index]?.address).toBe('a');
    }
    await clock.advance(31_000);
    await run;
  });

  test('a connection that was of use starts the back-off over, however short it was', async ({ expect }) => {
    const clock = new VirtualClock(3);
    const stop = new AbortController();
    const tries: number[] = [];
    const run = withReconnect(
      ['a'],
      (_address, good) => {
        tries.push(clock.now());
        // Every eighth finds a hub that has just been started, and that ends again.
        if (tries.length % 8 === 0) good();
        return Promise.reject(new HeadgateError('HG3001', 'no'));
      },
      { clock, log: silentLog, signal: stop.signal },
    );
    await clock.advance(3_600_000, () => tries.length > 40);
    stop.abort();
    await run;
    for (let at = 7; at < 32; at += 8) {
      expect((tries[at + 1] ?? 0) - (tries[at] ?? 0)).toBeLessThanOrEqual(3_000);
      expect((tries[at + 2] ?? 0) - (tries[at + 1] ?? 0)).toBeLessThanOrEqual(2_000);
    }
  });
});

test('TokenBucket lets a burst through and then the rate', async ({ expect }) => {
  const clock = new VirtualClock();
  const bucket = new TokenBucket(clock, 2, 3);
  const take = (times: number): number => Array.from({ length: times }, () => bucket.take()).filter(Boolean).length;
  expect(take(10)).toBe(3);
  await clock.advance(1_000);
  expect(take(10)).toBe(2);
  await clock.advance(60_000);
  expect(take(10)).toBe(3);
});
