import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { root } from './pages.ts';

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
}

const chart = join(root, 'deploy/chart/headgate');
/** What hub, cluster agent and node agent have alike, told once. */
const PARTS = ['hub', 'clusterAgent', 'nodeAgent'];

/** Every value of the chart: its default of values.yaml, and what values.schema.json says of it. */
export function chartValues(): string {
  const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')) as Schema;
  const defaults: unknown = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'));
  const rows: string[][] = [];
  const alike = new Set(
    Object.keys(schema.properties?.['hub']?.properties ?? {}).filter((name) =>
      PARTS.every((part) => {
        const here = schema.properties?.[part]?.properties?.[name];
        return (
          here !== undefined && JSON.stringify(here) === JSON.stringify(schema.properties?.['hub']?.properties?.[name])
        );
      }),
    ),
  );
  const walk = (one: Schema, value: unknown, path: readonly string[], above: string): void => {
    const [part = '', name = ''] = path;
    if (path.length === 2 && PARTS.includes(part) && alike.has(name) && part !== 'hub') return;
    const words = one.description ?? above;
    const below = Object.entries(one.properties ?? {});
    if (below.length > 0) {
      for (const [key, child] of below) walk(child, field(value, key), [...path, key], words);
      return;
    }
    if (value === undefined) return;
    const shown = part === 'hub' && alike.has(name) ? ['PART', ...path.slice(1)] : path;
    const choice = one.enum === undefined ? '' : ` One of ${one.enum.map((it) => `\`${String(it)}\``).join(', ')}.`;
    const fixed = one.const === undefined ? '' : ' Nothing else is taken.';
    const standard = shown[0] === 'PART' ? defaultsOf(defaults, path) : code(value);
    rows.push([`\`${shown.join('.')}\``, standard, `${words}${choice}${fixed}`]);
  };
  walk(schema, defaults, [], '');
  rows.sort((one, other) => Number(one[0]?.startsWith('`PART.')) - Number(other[0]?.startsWith('`PART.')));
  return table([['value', 'default', 'what it is'], ...rows]);
}

/** One default, or each part's where they differ. */
function defaultsOf(defaults: unknown, [, ...path]: readonly string[]): string {
  const each = PARTS.map((part) => code([part, ...path].reduce(field, defaults)));
  return new Set(each).size === 1 ? (each[0] ?? '') : each.join(' / ');
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function code(value: unknown): string {
  return `\`${JSON.stringify(value).replaceAll('|', '\\|')}\``;
}

/** As oxfmt lays it out. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`;
  const [head = [], ...rest] = rows;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rest.map(line)].join('\n');
}
