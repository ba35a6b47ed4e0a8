import { expect, test } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { openDrain } from './drain.ts';

/** Only the test ends waits. */
const clock = { ...systemClock, sleep: waiting };

function waiting(_ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('cut short'))));
}

function open(ms: number) {
  const [asked, ended] = [new AbortController(), new AbortController()];
  return { asked, ended, drain: openDrain(asked.signal, { ms, clock, ended: ended.signal }) };
}

test('who serves drains first, and then ends for the reason that it was asked for', async () => {
  const { asked, ended, drain } = open(30_000);
  drain.serves();
  asked.abort('SIGTERM');
  expect([drain.begun.aborted, drain.over.aborted]).toEqual([true, false]);
  ended.abort();
  await new Promise(setImmediate);
  expect([drain.over.aborted, drain.over.reason]).toEqual([true, 'SIGTERM']);
});

test('who does not serve yet, or has no time for it, ends at once', () => {
  const early = open(30_000);
  early.asked.abort('SIGTERM');
  const prompt = open(0);
  prompt.drain.serves();
  prompt.asked.abort('SIGTERM');
  for (const { drain } of [early, prompt]) {
    expect([drain.begun.aborted, drain.over.aborted, drain.over.reason]).toEqual([false, true, 'SIGTERM']);
  }
});
