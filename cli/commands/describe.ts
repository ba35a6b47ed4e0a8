import type { DescribeResponse } from '../../hub/api/types.ts';
import { connectHub, pathOf } from '../client.ts';
import type { Globals } from '../globals.ts';
import { type Format, cell, layout, printJson, stdout } from '../output.ts';
import { printYaml } from '../print-yaml.ts';

export async function describe(
  kind: string,
  name: string,
  flags: { readonly namespace?: string; readonly output?: Format },
  globals: Globals,
): Promise<void> {
  const hub = await connectHub(globals);
  const query = { name, namespace: flags.namespace };
  const described = await hub.call<DescribeResponse>('GET', pathOf('describe', kind), { query });
  if (flags.output === 'json') return printJson(stdout, described);
  if (flags.output === 'yaml') return printYaml(stdout, described);
  stdout.write(`${renderDescription(described)}\n`);
}

/** A section of one row is a list of names and values; more rows make a table. */
export function renderDescription({ title, sections }: DescribeResponse): string {
  const out = [cell(title)];
  for (const section of sections) {
    if (section.rows.length === 0) continue;
    out.push('', section.title);
    const titles = [...new Set(section.rows.flatMap((row) => Object.keys(row)))];
    const rows =
      section.rows.length === 1
        ? titles.map((name) => [`${name}:`, cell(section.rows[0]?.[name] ?? null)])
        : [
            titles.map((name) => name.toUpperCase()),
            ...section.rows.map((row) => titles.map((name) => cell(row[name] ?? null))),
          ];
    out.push(...layout(rows, true).map((line) => `  ${line}`));
  }
  return out.join('\n');
}
