import type { ExplainItem, ListResponse } from '../../hub/api/types.ts';
import { connectHub, pathOf } from '../client.ts';
import type { Globals } from '../globals.ts';
import { type Format, cell, layout, percent, printJson, stdout } from '../output.ts';
import { printYaml } from '../print-yaml.ts';

export interface ExplainFlags {
  readonly cluster?: string;
  readonly method: string;
  readonly header?: readonly string[];
  readonly output?: Format;
}

const SHARE_UNITS = 100_000;

export async function explain(url: string, flags: ExplainFlags, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const query = { url, cluster: flags.cluster, method: flags.method, header: flags.header };
  const { items } = await hub.call<ListResponse<ExplainItem>>('GET', pathOf('explain'), { query });
  const shown = flags.cluster === undefined ? { items } : items[0];
  if (flags.output === 'json') return printJson(stdout, shown);
  if (flags.output === 'yaml') return printYaml(stdout, shown);
  stdout.write(`${items.map(renderExplanation).join('\n\n')}\n`);
}

export function renderExplanation(item: ExplainItem): string {
  const { route, entry } = item;
  const out = [cell(`${item.host}${item.path} entering at ${entry}: ${item.summary}`)];
  if (item.path !== item.normal_path) out.push(`  normal path  ${cell(item.normal_path)}`);
  if (route === null) return out.join('\n');
  out.push(
    `  route        ${cell(`${route.host} ${route.path_type} ${route.path}`)} (${route.id})`,
    `  owner        ${route.owner === null ? 'its own cluster' : `namespace ${cell(route.owner)}`}`,
    `  shares from  ${item.split_source === 'agent' ? `what the agent of ${entry} does` : 'what the hub computes'}`,
  );
  const clusters = item.clusters.map(({ cluster, share, ready, live, backend, why }) =>
    [cluster, percent(share / SHARE_UNITS), `${ready} ready, ${live} live`, backend, why].map(cell),
  );
  out.push('  clusters', ...indent([['CLUSTER', 'SHARE', 'ENDPOINTS', 'BACKEND', 'WHY'], ...clusters]));
  if (item.fallbacks.length > 0) out.push(`  fallbacks    ${item.fallbacks.map(cell).join(', ')}`);
  if (item.sticky.length > 0) out.push(`  returning    ${item.sticky.map(cell).join(', ')}`);
  const fields = item.fields
    .filter(({ winner }) => winner !== 'default')
    .map(({ field, value, winner, losers }) =>
      [field, JSON.stringify(value) ?? 'null', winner, losers.join(', ')].map(cell),
    );
  if (item.fields.length > 0 && fields.length === 0) out.push('  policy       none: everything has its default');
  if (fields.length > 0) out.push('  policy', ...indent([['FIELD', 'VALUE', 'FROM', 'BEAT'], ...fields]));
  return out.join('\n');
}

function indent(rows: readonly (readonly string[])[]): string[] {
  return layout(rows, true).map((line) => `    ${line}`);
}
