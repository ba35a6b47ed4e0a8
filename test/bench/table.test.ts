import { expect, test } from 'vitest';
import { figuresTable, tableText } from './table.ts';

test('columns are as wide as their widest cell, numbers stand to the right', () => {
  const text = tableText({
    title: 'Fleet',
    columns: ['kind', 'ms'],
    rows: [
      ['host', 12.5],
      ['certificate', 3],
    ],
  });
  expect(text).toBe(
    ['Fleet', 'kind         ms', '-----------  ----', 'host         12.5', 'certificate     3'].join('\n'),
  );
});

test('a figure at its limit is reached', () => {
  const figure = { what: 'p50', limit: 50, unit: 'ms' };
  const { rows } = figuresTable([
    { ...figure, seen: 50 },
    { ...figure, seen: 50.1 },
  ]);
  expect(rows.map((row) => row.at(-1))).toEqual(['reached', 'missed']);
});
