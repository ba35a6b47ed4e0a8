import { expect, test } from 'vitest';
import { cleanBirth } from './clean-birth.ts';
import { figure } from './figure.ts';

test('promise-07: clients of new routes see 404, then 200, and nothing else', async () => {
  const { births, polls, faults, slowest, reloads } = await cleanBirth(300, 30);
  figure(
    `promise-07: ${births} births, ${polls} polls, ${faults.length} other than 404 → 200, ` +
      `slowest batch ${slowest.toFixed(0)} ms, ${reloads} reloads`,
  );
  expect(faults.slice(0, 10)).toEqual([]);
});
