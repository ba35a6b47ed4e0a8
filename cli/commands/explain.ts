import type { Explanation } from '../../hub/compile/explanation.ts';
import type { ListResponse } from '../../hub/api/types.ts';
import { connectHub, pathOf } from '../client.ts';
import type { Globals } from '../globals.ts';
import { type Format, cell, layout, percent, printJson, printYaml, stdout } from '../output.ts';

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
  const { items } = await hub.call<ListResponse<Explanation>>('GET', pathOf('explain'), { query });
  const shown = flags.cluster === undefined ? { items } : items[0];
  if (flags.output === 'json') return printJson(stdout, shown);
  if (flags.output === 'yaml') return printYaml(stdout, shown);
  stdout.write(`${items.map(renderExplanation).join('\n\n')}\n`);
}

export function renderExplanation({ request, normalPath, summary, route }: Explanation): string {
  const out = [cell(`${request.host}${request.path} entering at ${request.entry}: ${summary}`)];
  if (request.path !== normalPath) out.push(`  normal path  ${cell(normalPath)}`);
  if (route === undefined) return out.join('\n');
  out.push(
    `  route        ${cell(`${route.host} ${route.pathType} ${route.path}`)} (${route.id})`,
    `  owner        ${route.owner === undefined ? 'its own cluster' : `namespace ${cell(route.owner)}`}`,
    `  shares from  ${route.splitSource === 'agent' ? `what the agent of ${request.entry} does` : 'what the hub computes'}`,
  );
  const clusters = route.clusters.map(({ cluster, share, ready, backend, why }) =>
    [cluster, percent(share / SHARE_UNITS), `${ready} ready`, backend, why].map(cell),
  );
  out.push('  clusters', ...indent([['CLUSTER', 'SHARE', 'ENDPOINTS', 'BACKEND', 'WHY'], ...clusters]));
  if (route.fallbacks.length > 0) out.push(`  fallbacks    ${route.fallbacks.map(cell).join(', ')}`);
  if (route.sticky.length > 0) out.push(`  returning    ${route.sticky.map(cell).join(', ')}`);
  const fields = route.fields.map(({ field, value, winner, losers }) =>
    [field, JSON.stringify(value) ?? 'null', winner, losers.length === 0 ? '' : losers.join(', ')].map(cell),
  );
  if (fields.length > 0) out.push('  policy', ...indent([['FIELD', 'VALUE', 'FROM', 'BEAT'], ...fields]));
  return out.join('\n');
}

function indent(rows: readonly (readonly string[])[]): string[] {
  return layout(rows, true).map((line) => `    ${line}`);
}
