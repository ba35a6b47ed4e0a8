import type { Cell, Figure, Table } from './bench.ts';

/** Plain text, columns as wide as they must be. */
export function tableText({ title, columns, rows }: Table): string {
  const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => String(row[i] ?? '').length)));
  const line = (cells: readonly Cell[]): string =>
    cells
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [title, line(columns), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export function reached({ limit, seen }: Figure): boolean {
  return seen <= limit;
}

export function figuresTable(figures: readonly Figure[]): Table {
  return {
    title: 'Figures to reach',
    columns: ['what', 'at most', 'seen', 'unit', ''],
    rows: figures.map((figure) => [
      figure.what,
      figure.limit,
      figure.seen,
      figure.unit,
      reached(figure) ? 'reached' : 'missed',
    ]),
  };
}
