import { describe, test } from 'vitest';
import type { HeadgateError } from '../errors.ts';
import { StreamWatch } from './stream-watch.ts';
import { VirtualClock } from '../virtual-clock.fixture.ts';

function setUp() {
  const clock = new VirtualClock();
  const errors: string[] = [];
  let beats = 0;
  const watch = new StreamWatch({
    clock,
    heartbeatMs: 4_000,
    deadlineMs: 10_000,
    beat: () => void beats++,
    fail: (error: HeadgateError) => void errors.push(error.code),
  });
  const stop = new AbortController();
  return { clock, watch, errors, stop, run: watch.run(stop.signal), beats: () => beats };
}

describe('StreamWatch', () => {
  test('beats, and sees three missed heartbeats', async ({ expect }) => {
    const { clock, errors, beats, run } = setUp();
    await clock.advance(11_500);
    expect([beats(), errors]).toEqual([2, []]);
    await clock.advance(1_000);
    expect(errors).toEqual(['HG3001']);
    await run;
  });

  test('a deadline runs from when it was last set, and not after it was met', async ({ expect }) => {
    const { clock, watch, errors, run } = setUp();
    const spend = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        watch.heard();
        await clock.advance(1_000);
      }
    };
    watch.expect('one');
    await spend(8);
    watch.expect('two');
    await spend(8);
    watch.met();
    await spend(20);
    watch.expect('three');
    await spend(10);
    expect(errors).toEqual([]);
    await spend(3);
    expect(errors).toEqual(['HG3005']);
    await run;
  });

  test('time in which this process hung does not count', async ({ expect }) => {
    const { clock, watch, errors, stop, run } = setUp();
    watch.expect('an answer');
    await clock.advance(500);
    clock.hang(60_000);
    await clock.advance(2_000);
    expect(errors).toEqual([]);
    stop.abort();
    await run;
  });
});
