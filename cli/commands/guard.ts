import type { GuardItem, ListResponse, RevisionResponse } from '../../hub/api/types.ts';
import { connectHub, pathOf } from '../client.ts';
import type { Globals } from '../globals.ts';
import { type Format, printJson, printTable, stdout } from '../output.ts';
import { printYaml } from '../print-yaml.ts';

export async function listGuards(flags: { readonly output?: Format }, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const { items } = await hub.call<ListResponse<GuardItem>>('GET', pathOf('guards'));
  if (flags.output === 'json') return printJson(stdout, { items });
  if (flags.output === 'yaml') return printYaml(stdout, { items });
  printTable(
    stdout,
    [
      { title: 'ID', value: (guard) => guard.id },
      { title: 'CLUSTER', value: (guard) => guard.cluster },
      { title: 'GUARD', value: (guard) => guard.guard },
      { title: 'HOLDS', value: (guard) => guard.message },
    ],
    items,
  );
}

export async function confirmGuard(id: string, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const { revision } = await hub.call<RevisionResponse>('POST', pathOf('guards', id, 'confirm'));
  stdout.write(`guard ${id} confirmed (revision ${revision})\n`);
}
