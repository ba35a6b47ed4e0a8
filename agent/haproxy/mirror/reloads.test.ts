import { expect, it } from 'vitest';
import { HeadgateError } from '../../../lib/errors.ts';
import { VirtualClock } from '../../../lib/virtual-clock.fixture.ts';
import { DEFAULT_PROFILE, profileWords } from '../model/profile.ts';
import { causeWords, Reloads } from './reloads.ts';

const done = () => Promise.resolve();
const refuse = () => Promise.reject(new HeadgateError('HG5002', 'no such file'));

it('counts a reload that succeeds and owes one that fails until one succeeds', async () => {
  const reloads = new Reloads(new VirtualClock());
  await reloads.count('pool-refill', done);
  await expect(reloads.count('backend-settings', refuse)).rejects.toMatchObject({ code: 'HG5002' });
  expect(reloads).toMatchObject({ failed: 'backend-settings', owed: 'no such file' });
  await reloads.count('repair', done);
  await reloads.count('repair', done);
  expect(reloads.failed).toBeUndefined();
  expect(reloads.owed).toBeUndefined();
  expect([...reloads.counts]).toEqual([
    ['pool-refill', 1],
    ['repair', 2],
  ]);
});

it('lets new settings wait for 5 s after others', () => {
  const clock = new VirtualClock();
  const reloads = new Reloads(clock);
  expect(reloads.mayBegin).toBe(true);
  reloads.noteSettings();
  clock.hang(4_999);
  expect(reloads.mayBegin).toBe(false);
  clock.hang(1);
  expect(reloads.mayBegin).toBe(true);
});

it('has none while they are held', () => {
  const reloads = new Reloads(new VirtualClock());
  reloads.assertFree();
  reloads.hold();
  expect(reloads).toMatchObject({ isHeld: true, mayBegin: false });
  expect(() => reloads.assertFree()).toThrow(expect.objectContaining({ code: 'HG5004' }));
});

it('says what a reload is for, and names no more than twenty resources', () => {
  expect(causeWords({ profiles: [], resources: [] })).toEqual({});
  const resources = Array.from({ length: 21 }, (_, i) => ({ type: 'host', name: `h${i}` }));
  const wanted = { profile: DEFAULT_PROFILE, resources };
  expect(causeWords({ profiles: [wanted, wanted], resources })).toEqual({
    settings: profileWords(DEFAULT_PROFILE),
    for: 21,
    resources: resources.slice(0, 20).map(({ name }) => `host/${name}`),
  });
});
