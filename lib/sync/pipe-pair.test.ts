import { describe, test } from 'vitest';
import { HeadgateError } from '../errors.ts';
import { pipePair } from './pipe-pair.ts';
import { pipeHighWater, type Pipe } from './pipe.ts';

async function all<T>({ frames }: Pipe<never, T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const frame of frames) seen.push(frame);
  return seen;
}

describe('pipePair', () => {
  test('what was sent before an end in order is read', async ({ expect }) => {
    const [left, right] = pipePair<number, string>();
    left.send(1);
    left.send(2);
    left.close();
    left.send(3);
    expect(await all(right)).toEqual([1, 2]);
    expect(await all(left)).toEqual([]);
    right.send('nobody reads');
    expect(right.pending).toBe(0);
  });

  test('an error breaks the other end at once, with its code', async ({ expect }) => {
    const [left, right] = pipePair<number, string>();
    left.send(1);
    left.close(new HeadgateError('HG3004', 'gone'));
    await expect(all(right)).rejects.toMatchObject({ code: 'HG3004', message: 'gone' });
    expect(await all(left)).toEqual([]);
  });

  test('a writer waits while the reader is behind, and no longer than the pipe lives', async ({ expect }) => {
    const [left, right] = pipePair<number, string>();
    for (let n = 0; n < pipeHighWater; n++) left.send(n);
    expect(left.pending).toBe(pipeHighWater);
    let free = false;
    const waiting = left.writable().then(() => (free = true));
    await Promise.resolve();
    expect(free).toBe(false);
    await right.frames[Symbol.asyncIterator]().next();
    await waiting;
    left.send(0);
    const ended = left.writable();
    right.close();
    await ended;
  });
});
