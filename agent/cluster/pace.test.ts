import { expect, test } from 'vitest';
import { VirtualClock } from '../../lib/virtual-clock.fixture.ts';
import { Pace } from './pace.ts';

test('each key goes at once, then once per while, and the last word is not lost', async () => {
  const clock = new VirtualClock();
  const went: string[] = [];
  const pace = new Pace(1_000, clock, new AbortController().signal, (key) => went.push(`${key}@${clock.now()}`));
  pace.come('a');
  for (let i = 0; i < 5; i++) {
    pace.come('a');
    pace.come('b');
    await clock.advance(100);
  }
  expect(went).toEqual(['a@0', 'b@0']);
  await clock.advance(5_000);
  expect(went).toEqual(['a@0', 'b@0', 'a@1000', 'b@1000']);
  expect(clock.sleepers).toBe(0);
});

test('nothing that waits goes after the end', async () => {
  const clock = new VirtualClock();
  const ended = new AbortController();
  let went = 0;
  const pace = new Pace(1_000, clock, ended.signal, () => went++);
  pace.come('a');
  pace.come('a');
  ended.abort();
  await clock.advance(5_000);
  expect(went).toBe(1);
});
