import { describe, test } from 'vitest';
import type { HeadgateError } from '../errors.ts';
import { claimSpeaker, SpeakerRegister } from './speaker-register.ts';

function stream() {
  const errors: string[] = [];
  return { errors, close: (error: HeadgateError) => void errors.push(error.code) };
}

const one = { count: 1n, instance: 'one' };
const two = { count: 2n, instance: 'two' };

describe('SpeakerRegister', () => {
  test('the higher count wins and closes all streams of the other', ({ expect }) => {
    const register = new SpeakerRegister();
    const [report, configure, newer] = [stream(), stream(), stream()];
    expect(register.claim('eu', one, report.close, 'report')).toBe('accepted');
    expect(register.claim('eu', one, configure.close, 'configure')).toBe('accepted');
    expect(register.claim('eu', two, newer.close, 'report')).toBe('accepted');
    expect([report.errors, configure.errors, newer.errors]).toEqual([['HG3004'], ['HG3004'], []]);
    expect(register.claim('eu', one, report.close, 'report')).toBe('refused');
    expect(register.speaker('eu')).toEqual(two);
    expect(register.claim('us', one, report.close, 'report')).toBe('accepted');
  });

  test('on a tie the incumbent stays, but the same process replaces its own stream', ({ expect }) => {
    const register = new SpeakerRegister();
    const [first, configure, rival, again] = [stream(), stream(), stream(), stream()];
    register.claim('eu', one, first.close, 'report');
    register.claim('eu', one, configure.close, 'configure');
    expect(register.claim('eu', { ...one, instance: 'rival' }, rival.close, 'report')).toBe('refused');
    expect(register.claim('eu', one, again.close, 'report')).toBe('accepted');
    expect([first.errors, configure.errors, again.errors]).toEqual([['HG3004'], [], []]);
    // The old stream's end does not free what its successor holds.
    register.release('eu', first.close);
    register.release('eu', configure.close);
    expect(register.speaker('eu')).toEqual(one);
    register.release('eu', again.close);
    expect(register.speaker('eu')).toBeUndefined();
  });

  test('a hello without a speaker is refused', ({ expect }) => {
    const register = new SpeakerRegister();
    expect(() => claimSpeaker(register, 'eu', 'report', undefined, stream().close)).toThrow(/names no speaker/);
    claimSpeaker(register, 'eu', 'report', two, stream().close);
    expect(() => claimSpeaker(register, 'eu', 'report', one, stream().close)).toThrow(/speaks for it/);
  });
});
