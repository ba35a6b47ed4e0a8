import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cliExamples } from './cli-examples.ts';
import { cliPage } from './cli-page.ts';
import { everyCommand } from './commands.ts';
import { root, section } from './pages.ts';
import { Tour } from './tour.ts';

test('the tour has at most 20 lines', () => {
  const lines = section('README.md', '## A tour').flatMap(({ text }) => text.split('\n'));
  expect(lines.length).toBeLessThanOrEqual(20);
});

test(
  'the tour of README.md does what it says and leaves nothing behind; docs/cli.md is current',
  { timeout: 180_000 },
  async () => {
    await using tour = await Tour.start();
    const [first, ...answers] = tour.output.split('\n').filter((line) => line === 'eu' || line === 'us');
    expect(first).toBe('eu');
    expect(answers).toHaveLength(8);
    expect(tour.output).toContain('shop.example/ entering at eu: Prefix shop.example/ is served by eu 50 %, us 50 %');
    expect(tour.output).toContain('Fleet fleet: 2 clusters, 1 hosts, 1 routes, 1 policies');

    const examples = await cliExamples(tour);
    expect([...examples.keys()].sort()).toEqual(
      everyCommand()
        .map(({ path }) => path)
        .sort(),
    );
    const page = join(root, 'docs/cli.md');
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, cliPage(examples));
    expect(readFileSync(page, 'utf8')).toBe(cliPage(examples));

    const before = tour.output.length;
    expect(await tour.finish()).toBe(0);
    expect(tour.output.slice(before)).toMatch(/^(eu|us)$/m);
    expect(readdirSync(tour.folder).sort()).toEqual(['docs', 'go', 'output', 'stands']);
    expect(processesOf(tour.folder)).toEqual([]);
  },
);

/** Command lines that name the folder; where there is no /proc nothing can be said. */
function processesOf(folder: string): readonly string[] {
  let pids: readonly string[];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  return pids.map(commandLine).filter((line) => line.includes(folder));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
