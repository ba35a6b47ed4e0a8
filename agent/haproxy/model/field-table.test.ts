import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { fieldTable, fieldTableMarkdown } from './field-table.ts';

test('docs/field-table.md is current', async () => {
  const page = new URL('../../../docs/field-table.md', import.meta.url);
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(page, fieldTableMarkdown());
  expect(await readFile(page, 'utf8')).toBe(fieldTableMarkdown());
});

test('a setting stands once', () => {
  const names = fieldTable.map(({ of, setting }) => `${of} ${setting}`);
  expect(new Set(names).size).toBe(names.length);
});

test('whatever only a file can hold says why', () => {
  for (const { setting, reach, why } of fieldTable)
    expect([setting, why !== undefined]).toEqual([setting, reach === 'backend']);
});
