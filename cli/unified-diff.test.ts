import { array, assert, constantFrom, property } from 'fast-check';
import { expect, test } from 'vitest';
import { unifiedDiff } from './unified-diff.ts';

test('shows changes with three lines of context', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\n';
  expect(unifiedDiff('old', 'new', before, before.replace('e', 'E'))).toBe(
    '--- old\n+++ new\n@@ -2,6 +2,6 @@\n b\n c\n d\n-e\n+E\n f\n g\n',
  );
  expect(unifiedDiff('old', 'new', before, before)).toBe('');
});

/** Applies a unified diff as `patch` would. */
function patched(before: readonly string[], diff: string): string[] {
  const out: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2, -1)) {
    const hunk = /^@@ -(\d+),(\d+) /.exec(line);
    if (hunk !== null) {
      const start = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1);
      out.push(...before.slice(at, start));
      at = start;
    } else if (line.startsWith('+')) out.push(line.slice(1));
    else {
      if (line.startsWith(' ')) out.push(line.slice(1));
      at += 1;
    }
  }
  return [...out, ...before.slice(at)];
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

test('what it shows turns the old text into the new', () => {
  const text = array(constantFrom('a', 'b', 'c'), { maxLength: 30 });
  assert(
    property(text, text, (before, after) => {
      const diff = unifiedDiff('old', 'new', textOf(before), textOf(after));
      expect(patched(before, diff)).toEqual(after);
    }),
    { numRuns: 300 },
  );
});
