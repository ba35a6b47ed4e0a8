import { expect, test } from 'vitest';
import { judgeSilence } from './silence.ts';

function judge(heard: Readonly<Record<string, number | undefined>>, upMs = 1_000_000) {
  const presence = { heardAgoMs: (cluster: string) => heard[cluster] };
  return Object.fromEntries(judgeSilence(Object.keys(heard), presence, upMs));
}

test('a cluster that is silent while the others are heard is stale', () => {
  expect(judge({ eu: 60_000, us: 100, ap: 2_000 })).toEqual({ eu: 60_000, us: 0, ap: 0 });
  expect(judge({ eu: 60_000, us: 100 })).toEqual({ eu: 60_000, us: 0 });
});

test('a hub that has lost most of the fleet judges nobody', () => {
  expect(judge({ eu: 60_000, us: 60_000, ap: 60_000 })).toEqual({ eu: 0, us: 0, ap: 0 });
  expect(judge({ eu: 60_000, us: 60_000, ap: 60_000, sa: 10 })).toEqual({ eu: 0, us: 0, ap: 0, sa: 0 });
});

test('what was never heard is silent since the hub started', () => {
  expect(judge({ eu: undefined, us: 10 }, 5_000)).toEqual({ eu: 0, us: 0 });
  expect(judge({ eu: undefined, us: 10 }, 20_000)).toEqual({ eu: 20_000, us: 0 });
});
