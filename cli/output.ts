import { printable } from '../lib/printable.ts';

export const formats = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof formats)[number];

export interface Column<T> {
  readonly title: string;
  readonly value: (item: T) => string | number | boolean | null;
  /** Shown with -o wide only. */
  readonly wide?: boolean;
}

export interface Screen {
  /** Aligned columns to a terminal, tab-separated ones to anything else. */
  readonly terminal: boolean;
  write(text: string): void;
}

export const stdout: Screen = {
  terminal: process.stdout.isTTY,
  write: (text) => void process.stdout.write(text),
};

export function printTable<T>(screen: Screen, columns: readonly Column<T>[], items: readonly T[], wide = false): void {
  const shown = columns.filter((column) => wide || column.wide !== true);
  const rows = items.map((item) => shown.map((column) => cell(column.value(item))));
  const titles = shown.map((column) => column.title);
  screen.write(`${layout([titles, ...rows], screen.terminal).join('\n')}\n`);
}

/** Lines of a table; to a terminal every column but the last is padded to its widest cell. */
export function layout(rows: readonly (readonly string[])[], aligned: boolean): string[] {
  if (!aligned) return rows.map((row) => row.join('\t'));
  const widths: number[] = [];
  for (const row of rows) row.forEach((text, index) => (widths[index] = Math.max(widths[index] ?? 0, text.length)));
  return rows.map((row) =>
    row
      .map((text, index) => text.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function printJson(screen: Screen, value: unknown): void {
  screen.write(`${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Text of tenants on a terminal: control characters, which could move the cursor or forge a line, become
 * escapes.
 */
export function cell(value: string | number | boolean | null): string {
  if (value === null || value === '') return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return printable(String(value));
}

/** Seconds as people say them: 4s, 3m, 5h, 2d. */
export function age(seconds: number | null): string {
  if (seconds === null) return 'never';
  if (seconds < 120) return `${Math.floor(seconds)}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** A share of 1 as percent, no more digits than it has. */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(3))}%`;
}
