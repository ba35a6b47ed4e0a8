import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errorGuide } from './error-guide.ts';
import { codes } from './errors.ts';

test('docs/errors.md is current', () => {
  const page = new URL('../docs/errors.md', import.meta.url);
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, errorGuide());
  expect(readFileSync(page, 'utf8')).toBe(errorGuide());
});

test('codes come in their order, each in a group', () => {
  const named = [...errorGuide().matchAll(/^- \*\*(HG\d{4})\*\* /gm)].map(([, code]) => code);
  expect(named).toEqual(Object.keys(codes).sort());
});
