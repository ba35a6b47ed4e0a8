import { expect, test } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { PresenceRegister } from './presence.ts';

test('a cluster is connected while any stream is open, and heard when something was heard', () => {
  let now = 1_000;
  const presence = new PresenceRegister({ ...systemClock, now: () => now });
  expect(presence.connected('eu')).toBe(false);
  expect(presence.heardAgoMs('eu')).toBeUndefined();
  const report = presence.opened('eu');
  const configure = presence.opened('eu');
  presence.acknowledged('eu', 7n);
  now += 50;
  expect(presence.heardAgoMs('eu')).toBe(50);
  presence.heard('eu');
  expect(presence.heardAgoMs('eu')).toBe(0);
  report[Symbol.dispose]();
  report[Symbol.dispose]();
  expect(presence.connected('eu')).toBe(true);
  expect(presence.acknowledgedRevision('eu')).toBe(7n);
  now += 10;
  configure[Symbol.dispose]();
  expect(presence.connected('eu')).toBe(false);
  expect(presence.acknowledgedRevision('eu')).toBeUndefined();
  expect(presence.heardAgoMs('eu')).toBe(10);
  presence.forget('eu');
  expect(presence.heardAgoMs('eu')).toBeUndefined();
});
