import type { StatusResponse } from '../../hub/api/types.ts';
import { connectHub, pathOf } from '../client.ts';
import { columnsOf, objectName } from '../columns.ts';
import type { Globals } from '../globals.ts';
import { type Format, type Screen, cell, printJson, printTable, stdout } from '../output.ts';
import { printYaml } from '../print-yaml.ts';

export async function status(flags: { readonly output?: Format }, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const answer = await hub.call<StatusResponse>('GET', pathOf('status'));
  if (flags.output === 'json') return printJson(stdout, answer);
  if (flags.output === 'yaml') return printYaml(stdout, answer);
  printStatus(stdout, answer);
}

export function printStatus(screen: Screen, status: StatusResponse): void {
  const { totals } = status;
  if (status.attention_total + status.guards.length > 0) {
    screen.write('Needs attention\n');
    for (const guard of status.guards) {
      screen.write(
        `  HG6001 guard ${cell(guard.id)} holds ${cell(guard.message)}; headgate guard confirm ${cell(guard.id)}\n`,
      );
    }
    for (const event of status.attention) {
      const where = event.cluster === '' ? 'hub' : event.cluster;
      const field = event.field === '' ? '' : ` ${event.field}`;
      const remedy = event.remedy === '' ? '' : `; ${event.remedy}`;
      const place = event.place === '' ? '' : ` (${event.place})`;
      screen.write(cell(`  ${event.code} ${where}: ${objectName(event)}${field}: ${event.message}${remedy}${place}`));
      screen.write('\n');
    }
    const rest = status.attention_total - status.attention.length;
    if (rest > 0) screen.write(`  and ${rest} more; see headgate get events\n`);
    screen.write('\n');
  }
  screen.write(
    `Fleet ${status.fleet}: ${status.clusters.length} clusters, ${totals.hosts} hosts, ${totals.routes} routes, ` +
      `${totals.policies} policies; revision ${status.revision}, epoch ${status.epoch}, hub ${status.version}\n`,
  );
  if (status.clusters.length > 0) printTable(screen, columnsOf('clusters'), status.clusters as never);
}
