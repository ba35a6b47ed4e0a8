import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';

import { HEADGATE } from '../../cli/demo/processes.ts';
import { promises } from '../../cli/demo/promises.ts';

/** Plays the demo and returns the titles of the lines that failed. */
async function play(...flags: string[]): Promise<string[]> {
  const output = await new Promise<string>((resolve) => {
    execFile(HEADGATE, ['demo', '--script', ...flags], { timeout: 300_000 }, (_error, stdout) => resolve(stdout));
  });
  expect(output, 'the play came to its end').toMatch(/\d+ passed, \d+ failed\n$/);
  const failed = output.split('\n').filter((line) => line.startsWith('× '));
  return Object.values(promises).filter((title) => failed.some((line) => line.startsWith(`× ${title}: `)));
}

// A check that cannot fail checks nothing: each promise is broken once, and its own line says so, alone.
for (const [name, title] of Object.entries(promises)) {
  test(`sabotage of ${name} fails exactly its own line`, async () => {
    expect(await play('--sabotage', name)).toEqual([title]);
  });
}
