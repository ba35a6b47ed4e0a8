import { expect, test } from 'vitest';
import { printable } from './printable.ts';

test('control characters and direction marks are escaped, everything else stays', () => {
  expect(printable('a\u001b[31mb\nc\u009bd\u2028e\u202ef')).toBe('a\\u001b[31mb\\u000ac\\u009bd\\u2028e\\u202ef');
  expect(printable('plain "text" \\ ü 東')).toBe('plain "text" \\ ü 東');
});
