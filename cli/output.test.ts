import { expect, test } from 'vitest';
import { age, cell, layout, percent, printTable } from './output.ts';

test('a table is aligned on a terminal and separated by tabs elsewhere', () => {
  const rows = [
    ['NAME', 'ROUTES'],
    ['europe', '1'],
  ];
  expect(layout(rows, true)).toEqual(['NAME    ROUTES', 'europe  1']);
  expect(layout(rows, false)).toEqual(['NAME\tROUTES', 'europe\t1']);
});

test('wide columns come with -o wide only', () => {
  let text = '';
  const screen = { terminal: false, write: (more: string) => void (text += more) };
  const columns = [
    { title: 'A', value: () => 1 },
    { title: 'B', value: () => true, wide: true },
  ];
  printTable(screen, columns, [{}]);
  printTable(screen, columns, [{}], true);
  expect(text).toBe('A\n1\nA\tB\n1\tyes\n');
});

test('text of tenants cannot steer a terminal or forge a line', () => {
  expect(cell('a\u001b[2Jb\nc\td\u009b\u2028')).toBe('a\\u001b[2Jb\\u000ac\\u0009d\\u009b\\u2028');
  expect([cell(null), cell(''), cell(0), cell(false)]).toEqual(['-', '-', '0', 'no']);
});

test('ages and shares in short words', () => {
  expect([age(null), age(3.7), age(130), age(8_000), age(400_000)]).toEqual(['never', '3s', '2m', '2h', '4d']);
  expect([percent(0.9), percent(0.001), percent(1 / 3)]).toEqual(['90%', '0.1%', '33.333%']);
});
