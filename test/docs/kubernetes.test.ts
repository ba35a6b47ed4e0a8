import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chartValues } from './chart-values.ts';
import { root } from './pages.ts';

test('docs/kubernetes.md has every value of the chart', () => {
  const page = join(root, 'docs/kubernetes.md');
  const text = readFileSync(page, 'utf8');
  const [before, , after] = text.split(
    /(?<=<!-- values: written by UPDATE_DOCS=1 -->\n\n)([\s\S]*?)(?=\n\n<!-- end of values -->)/,
  );
  const current = `${before}${chartValues()}${after}`;
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, current);
  expect(readFileSync(page, 'utf8'), 'run UPDATE_DOCS=1 npx vitest run test/docs/kubernetes.test.ts').toBe(current);
  expect(before).not.toBe(text);
});
